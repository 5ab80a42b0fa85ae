"""`/v2.0/quotas`: how many objects of each kind a project may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flows.model import AddressGroup, Network, PolicyObject, Port, Rule, SecurityGroup
from flows.validate import LONGEST_TEXT
from sgctl.rest.credentials import AccessError, Caller
from sgctl.rest.errors import ApiError, bad_request, forbidden, no_such_path, not_found, wrong_method
from sgctl.rest.http import NO_CONTENT, Body, Request, Response, reply
from sgctl.rest.keeper import Keeper
from sgctl.rest.resource import Desk, owner
from sgctl.rest.schemas import FLAG, Checker, Schema, check, mapping, read_json
from sgctl.rest.view import View
from sgctl.service.draft import Draft

UNLIMITED = -1
HIGHEST = 2**31 - 1
NAMELESS = "default"
"""What the identity service calls the project of objects that have none."""

Limits = Mapping[str, int]


class Counted(NamedTuple):
    """What a quota counts: objects of a kind, each for `amount`."""

    kind: type[PolicyObject]
    amount: Callable[[Any], int] = lambda _: 1


COUNTED: Mapping[str, Counted] = {
    "network": Counted(Network),
    "subnet": Counted(Network, lambda network: len(network.subnets)),
    "port": Counted(Port),
    "security_group": Counted(SecurityGroup),
    "security_group_rule": Counted(Rule),
    "address_group": Counted(AddressGroup),
}
_ELSEWHERE = ("floatingip", "rbac_policy", "router", "subnetpool", "trunk")
"""Shown because clients ask; there are none of them here, and no limit to set."""

_LIMIT: Schema = {
    "type": ["integer", "string"],
    "minimum": UNLIMITED,
    "maximum": HIGHEST,
    "pattern": "^(-1|[0-9]{1,9})$",
}
_LIMITS = mapping(**dict.fromkeys(COUNTED, _LIMIT), force=FLAG, check_limit=FLAG)
BODY = mapping(["quota"], quota=_LIMITS)
_VALIDATOR = Checker(_LIMITS)


DEFAULTS: Limits = {
    "network": 100,
    "subnet": 100,
    "port": 500,
    "security_group": 100,
    "security_group_rule": 1000,
    "address_group": 100,
}
"""The limits of projects whose members have tokens, unless a setting says otherwise."""


def parse(text: str, *, tokens: bool) -> Limits:
    """Limits from a setting such as `port=500,security_group=-1`; -1 is no limit.

    `tokens` tells whether there are any: then `DEFAULTS` hold for what the setting does not name. Raises
    AccessError.
    """
    limits = dict(DEFAULTS) if tokens else dict.fromkeys(COUNTED, UNLIMITED)
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        is_number = value == str(UNLIMITED) or (value.isascii() and value.isdigit())
        if name not in COUNTED or not is_number:
            raise AccessError(f"quota {part!r} is not NAME=NUMBER with a NAME of {', '.join(COUNTED)}")
        limits[name] = int(value)
    return limits


class Quotas:
    """The limits of projects: their own, else the defaults. They are checked at every creation."""

    def __init__(self, defaults: Limits, keeper: Keeper) -> None:
        self._defaults = defaults
        self._keeper = keeper

    def check(self, desk: Desk, own: Mapping[str, Limits]) -> None:
        """Raises ApiError 409 when a project would have more than it may.

        `own` are the limits of the projects that have some of their own.
        """
        exceeded = []
        for name in COUNTED:
            for project in _growing(desk.draft, name):
                limit = own.get(project, {}).get(name, self._defaults[name])
                if limit != UNLIMITED and count(desk.draft, name, project) > limit:
                    exceeded.append(name)
        if exceeded:
            names = list(dict.fromkeys(exceeded))
            raise ApiError(409, "OverQuota", f"Quota exceeded for resources: {names}.")

    def answer(self, request: Request, rest: tuple[str, ...], caller: Caller) -> Response:
        """`/quotas`, `/quotas/PROJECT`, `/quotas/PROJECT/default` and `/quotas/PROJECT/details`."""
        if request.method != "GET":
            return self._change(request, rest, caller)
        if rest in (("tenant",), ("project",)):
            name = caller.project or NAMELESS
            return reply({rest[0]: {"tenant_id": name, "project_id": name}})
        view = self._keeper.view(request.turn)
        if not rest:
            return reply({"quotas": self._listed(view, caller)})
        project = _project(rest[0], caller)
        if not caller.is_admin and project != caller.project:
            raise not_found("Project", "Project", rest[0][:64])
        if rest[1:] == ("default",):
            return reply({"quota": _shown(self._defaults)})
        if rest[1:] in (("details",), ("details.json",)):
            return reply({"quota": self._details(view, project)})
        if rest[1:]:
            raise no_such_path(request.path)
        return reply({"quota": self._of(view, project)})

    def _change(self, request: Request, rest: tuple[str, ...], caller: Caller) -> Response:
        handlers = {"PUT": self._set, "DELETE": self._delete}
        if len(rest) != 1 or request.method not in handlers:
            raise wrong_method(request.method, ("GET", *(handlers if len(rest) == 1 else ())))
        if not caller.is_admin:
            raise forbidden("Only an admin may change quotas")
        project = _project(rest[0], caller)
        if len(project) > LONGEST_TEXT or not project.isprintable():
            raise bad_request("Invalid input for project_id. Reason: it is no name of a project.")
        return handlers[request.method](request, project)

    def _set(self, request: Request, project: str) -> Response:
        document = read_json(request)
        if not isinstance(document, dict) or set(document) != {"quota"}:
            raise bad_request("Unable to find 'quota' in request body")
        stated = check(_VALIDATOR, document["quota"])
        limits = {name: int(stated[name]) for name in COUNTED if name in stated}
        if not stated.get("force"):
            _refuse_too_low(self._keeper.view(request.turn), project, limits)
        if limits:
            self._keeper.call(request.turn, lambda store: store.set_quota(project, limits))
        return reply({"quota": self._of(self._keeper.view(request.turn), project)})

    def _delete(self, request: Request, project: str) -> Response:
        if project not in self._keeper.view(request.turn).quotas:
            name = project or NAMELESS
            raise ApiError(404, "TenantQuotaNotFound", f"Quota for project {name} could not be found.")
        self._keeper.call(request.turn, lambda store: store.delete_quota(project))
        return NO_CONTENT

    def _of(self, view: View, project: str) -> Body:
        """The limits in force."""
        own = view.quotas.get(project, {})
        return _shown({name: own.get(name, limit) for name, limit in self._defaults.items()})

    def _listed(self, view: View, caller: Caller) -> list[Body]:
        """Those of the projects that have some of their own."""
        projects = [each for each in sorted(view.quotas) if caller.is_admin or each == caller.project]
        return [
            {**self._of(view, each), "tenant_id": each or NAMELESS, "project_id": each or NAMELESS}
            for each in projects
        ]

    def _details(self, view: View, project: str) -> Body:
        used = {name: count(view, name, project) for name in COUNTED}
        limits = self._of(view, project).items()
        return {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0} for name, limit in limits}


def _project(name: str, caller: Caller) -> str:
    """The project of a path. Who needs no token has a project without a name, and knows it as `default`."""
    return "" if name == NAMELESS and not caller.project else name


def _refuse_too_low(view: View, project: str, limits: Limits) -> None:
    for name, limit in limits.items():
        used = count(view, name, project)
        if limit != UNLIMITED and used > limit:
            raise bad_request(
                f"Quota limit {limit} for {name} must be greater than or equal to already used {used}"
            )


def _shown(limits: Limits) -> Body:
    return {**limits, **dict.fromkeys(_ELSEWHERE, 0)}


def count(objects: Draft | View, name: str, project: str) -> int:
    """How much a project has of what a quota counts."""
    kind, amount = COUNTED[name]
    return sum(amount(obj) for obj in objects.all(kind) if owner(obj, objects) == project)


def _growing(draft: Draft, name: str) -> list[str]:
    """The projects that have more of it than before."""
    kind, amount = COUNTED[name]
    growth: Counter[str] = Counter()
    for change in draft.changes():
        if change.kind is kind:
            if change.new is not None:
                growth[owner(change.new, draft)] += amount(change.new)
            if change.old is not None:
                growth[owner(change.old, draft)] -= amount(change.old)
    return [project for project, number in growth.items() if number > 0]
