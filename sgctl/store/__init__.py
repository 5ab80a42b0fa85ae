"""Clients of the policy database and the local switch database, and the private policy database server."""

from __future__ import annotations

from sgctl.ovsdb.errors import Conflict, StoreError
from sgctl.store.status import BindingState, BindingStatus, SwitchStatus
from sgctl.store.store import Store

__all__ = ["BindingState", "BindingStatus", "Conflict", "Store", "StoreError", "SwitchStatus"]
