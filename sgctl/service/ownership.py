"""Objects that were made on behalf of others, and what they are recognised by."""

from __future__ import annotations

from flows.model import Port
from sgctl.service.draft import Draft

DEFAULT_GROUP_TAG = "sgctl:default-group"
"""Marks a security group that was made with its network, and goes with it."""

MACHINE_OWNER = "compute:sgctl"
"""`device_owner` of a port that was made for a virtual machine, and goes with it."""


def ports_of(draft: Draft, machine: str, project: str) -> list[Port]:
    """The ports of a project whose device_id is the machine's name; failing that, those with its name."""
    for attribute in ("device_id", "name"):
        found = draft.where(Port, attribute, machine)
        own = [port for port in found if port.meta.project_id == project]
        if own:
            return own
    return []
