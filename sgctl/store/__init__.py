"""The policy database: a client for commands and controllers, its private server, and the local switch's."""

from __future__ import annotations

from sgctl.store.errors import Conflict, StoreError
from sgctl.store.status import BindingState, BindingStatus, SwitchStatus
from sgctl.store.store import Store

__all__ = ["BindingState", "BindingStatus", "Conflict", "Store", "StoreError", "SwitchStatus"]
