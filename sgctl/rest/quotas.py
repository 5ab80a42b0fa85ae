"""`/v2.0/quotas`: how many objects of each kind a project may have; one setting for all projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.model import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from sgctl.rest.access import AccessError, Caller
from sgctl.rest.errors import ApiError, forbidden, no_such_path, not_found, wrong_method
from sgctl.rest.http import Body, Request, Response, reply
from sgctl.rest.resource import Desk, owner
from sgctl.rest.view import View
from sgctl.service.draft import Draft

KINDS: Mapping[str, type[PolicyObject]] = {
    "network": Network,
    "port": Port,
    "security_group": SecurityGroup,
    "security_group_rule": Rule,
    "address_group": AddressGroup,
}
_ELSEWHERE = ("floatingip", "rbac_policy", "router", "subnetpool", "trunk")
UNLIMITED = -1


def parse(text: str) -> Mapping[str, int]:
    """Limits from a setting such as `port=500,security_group=100`. Raises AccessError."""
    limits = dict.fromkeys(KINDS, UNLIMITED)
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        if name not in KINDS or not (value.isascii() and value.isdigit()):
            raise AccessError(f"quota {part!r} is not NAME=NUMBER with a NAME of {', '.join(KINDS)}")
        limits[name] = int(value)
    return limits


class Quotas:
    """The limits, which are checked at every creation."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits

    def check(self, desk: Desk) -> None:
        """Raises ApiError 409 when a project would have more than it may."""
        for name, limit in self._limits.items():
            kind = KINDS[name]
            if limit == UNLIMITED:
                continue
            added = {
                owner(change.new, desk.draft)
                for change in desk.draft.changes()
                if change.kind is kind and change.old is None and change.new is not None
            }
            for project in added:
                if _count(desk.draft, kind, project) > limit:
                    raise ApiError(409, "OverQuota", f"Quota exceeded for resources: ['{name}'].")

    def answer(self, request: Request, rest: tuple[str, ...], caller: Caller, view: View) -> Response:
        """`/quotas`, `/quotas/PROJECT`, `/quotas/PROJECT/default` and `/quotas/PROJECT/details`."""
        if request.method != "GET":
            if rest and len(rest) == 1 and request.method in ("PUT", "DELETE"):
                raise forbidden("Quotas are a setting of the controller")
            raise wrong_method(request.method, ("GET",))
        if rest in (("tenant",), ("project",)):
            return reply({"tenant": {"tenant_id": caller.project, "project_id": caller.project}})
        if rest and not caller.is_admin and rest[0] != caller.project:
            raise not_found("Project", "Project", rest[0][:64])
        if not rest:
            return reply({"quotas": []})
        if len(rest) == 1 or rest[1:] == ("default",):
            return reply({"quota": self._shown()})
        if rest[1:] in (("details",), ("details.json",)):
            return reply({"quota": self._details(view, rest[0])})
        raise no_such_path(request.path)

    def _shown(self) -> Body:
        return {**self._limits, "subnet": UNLIMITED, **dict.fromkeys(_ELSEWHERE, 0)}

    def _details(self, view: View, project: str) -> Body:
        used: dict[str, int] = {name: _count(view, kind, project) for name, kind in KINDS.items()}
        networks = [each for each in view.all(Network) if each.meta.project_id == project]
        used["subnet"] = sum(len(network.subnets) for network in networks)
        shown: dict[str, Any] = {}
        for name, limit in self._shown().items():
            shown[name] = {"limit": limit, "used": used.get(name, 0), "reserved": 0}
        return shown


def _count(objects: Draft | View, kind: type[PolicyObject], project: str) -> int:
    return sum(owner(obj, objects) == project for obj in objects.all(kind))
