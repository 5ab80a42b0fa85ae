"""The context of a write of the API: the draft, and what the caller may see and use."""

from __future__ import annotations

from typing import TypeVar

from flows.policy.objects import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.rest.credentials import Caller
from sgctl.rest.errors import forbidden, not_found
from sgctl.rest.http import Body
from sgctl.service.draft import Draft
from sgctl.service.names import is_shared, project_of
from sgctl.service.permissions import Permission, permissions_of
from sgctl.service.policy_edit import PolicyEdit
from sgctl.service.references import REFERENCES
from sgctl.store.snapshot import Objects, PolicySnapshot

P = TypeVar("P", bound=PolicyObject)

NOUNS: dict[type[PolicyObject], tuple[str, str]] = {
    Network: ("Network", "Network"),
    SecurityGroup: ("SecurityGroup", "Security group"),
    AddressGroup: ("AddressGroup", "Address group"),
}
"""Neutron's type name and noun of each kind that other objects refer to."""


class EditContext(PolicyEdit):
    """The edit of one write of the API, for a caller. Errors do not name objects that are hidden from it."""

    def __init__(self, policy: PolicySnapshot, caller: Caller) -> None:
        super().__init__(Draft(policy, caller.project, discreet=not caller.is_admin))
        self.caller = caller
        self._permissions: dict[str, dict[Permission, Rule]] = {}

    def permissions(self, group_id: str) -> dict[Permission, Rule]:
        """The rules of a group by what they permit. The caller adds the rules that it creates."""
        if group_id not in self._permissions:
            self._permissions[group_id] = permissions_of(self.draft, group_id)
        return self._permissions[group_id]

    def find(self, kind: type[P], identifier: str, type_name: str, noun: str) -> P:
        """An object that the caller may use. Raises ApiError 404."""
        found = self.draft.get(kind, identifier)
        if found is None or not may_see(self.caller, found, self.draft):
            raise not_found(type_name, noun, identifier)
        return found

    def project(self, body: Body) -> str:
        """The project of a new object. Raises ApiError 403 when it is not the caller's."""
        wanted = body.get("project_id", body.get("tenant_id"))
        if wanted is None or wanted == self.caller.project:
            return self.caller.project
        if not self.caller.is_admin:
            raise forbidden("Only an admin may create objects of another project")
        return str(wanted)

    def put(self, obj: PolicyObject) -> None:
        """Add or change an object. Raises ApiError 404 for a new reference that the caller cannot see."""
        old = self.draft.get(type(obj), obj.id)
        for reference in REFERENCES:
            if reference.holder is type(obj):
                known = reference.ids(old) if old is not None else []
                for identifier in reference.ids(obj):
                    if identifier not in known:
                        type_name, noun = NOUNS[reference.target]
                        self.find(reference.target, identifier, type_name, noun)
        if isinstance(obj, Port) and not (isinstance(old, Port) and _relies_on_default(old)):
            self._check_default(obj)
        self.draft.put(obj)

    def may_use_default(self, network: Network) -> bool:
        """Whether the network has a default group that the caller's ports may belong to."""
        group = self.draft.get(SecurityGroup, network.default_group or "")
        return group is not None and may_see(self.caller, group, self.draft)

    def _check_default(self, port: Port) -> None:
        """Refuse a port without groups where that would make it a member of a group the caller cannot see."""
        network = self.draft.get(Network, port.network_id)
        if network is None or network.default_group is None or not _relies_on_default(port):
            return
        if not self.may_use_default(network):
            raise forbidden("The network's default group is another project's: give security_groups")


def _relies_on_default(port: Port) -> bool:
    """Whether the port is in the default group of its network, if that has one."""
    return port.port_security_enabled and not port.security_groups


def may_see(caller: Caller, obj: PolicyObject, objects: Objects) -> bool:
    """Whether the object belongs to the caller's project or is shared."""
    return caller.is_admin or owner(obj, objects) == caller.project or is_shared(obj)


def owner(obj: PolicyObject, objects: Objects) -> str:
    """The project of an object; a rule has that of its group."""
    return project_of(objects, obj)
