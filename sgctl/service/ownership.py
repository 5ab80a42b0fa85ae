"""Marks of objects that sgctl created for another object and deletes with it."""

from __future__ import annotations

from flows.policy.objects import Port
from sgctl.service.draft import Draft

DEFAULT_GROUP_TAG = "sgctl:default-group"
"""The tag of a security group that was created with its network and is deleted with it."""

MACHINE_OWNER = "compute:sgctl"
"""The `device_owner` of a port that was created for a virtual machine and is deleted with it."""


def ports_of(draft: Draft, machine: str, project: str) -> list[Port]:
    """A project's ports whose device_id is the machine's name; if there are none, those with its name."""
    for attribute in ("device_id", "name"):
        found = draft.where(Port, attribute, machine)
        own = [port for port in found if port.meta.project_id == project]
        if own:
            return own
    return []
