"""Objects that were made on behalf of others, and what they are recognised by."""

from __future__ import annotations

from flows.model import Port
from sgctl.service.draft import Draft

DEFAULT_GROUP_TAG = "sgctl:default-group"
"""Marks a security group that was made with its network, and goes with it."""

MACHINE_OWNER = "compute:sgctl"
"""`device_owner` of a port that was made for a virtual machine, and goes with it."""


def ports_of(draft: Draft, machine: str) -> list[Port]:
    """The ports whose device_id is the machine's name; failing that, those with its name."""
    return draft.where(Port, "device_id", machine) or draft.where(Port, "name", machine)
