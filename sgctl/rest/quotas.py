"""`/v2.0/quotas`: how many objects of each kind a project may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from flows.policy.validate import LONGEST_TEXT
from sgctl.attributes.value_types import Schema
from sgctl.rest.credentials import Caller
from sgctl.rest.edit_context import EditContext, owner
from sgctl.rest.errors import ApiError, bad_request, forbidden, not_found
from sgctl.rest.http import NO_CONTENT, Body, Response, reply
from sgctl.rest.limits import COUNTED, UNLIMITED, Limits
from sgctl.rest.routing import Context, Route
from sgctl.rest.schemas import FLAG, Checker, check, envelope, mapping, read_json
from sgctl.rest.view import View
from sgctl.service.draft import Draft
from sgctl.store.snapshot import Objects

HIGHEST = 2**31 - 1
NAMELESS = "default"
"""What the identity service calls the project of objects that have none."""

_NOT_SERVED = ("floatingip", "rbac_policy", "router", "subnetpool", "trunk")
"""Shown because clients ask for them. There are none of these objects, and their limit cannot be set."""

_LIMIT: Schema = {
    "type": ["integer", "string"],
    "minimum": UNLIMITED,
    "maximum": HIGHEST,
    "pattern": "^(-1|[0-9]{1,9})$",
}
_LIMITS = mapping(**dict.fromkeys(COUNTED, _LIMIT), force=FLAG, check_limit=FLAG)
_CHECKER = Checker(_LIMITS)


def check_quotas(edit: EditContext, own: Mapping[str, Limits], defaults: Limits) -> None:
    """Raises ApiError 409 when a project would have more than it may.

    `own` are the limits of the projects that have some of their own; `defaults` are those of the others.
    """
    exceeded = []
    for name in COUNTED:
        for project in _growing(edit.draft, name):
            limit = own.get(project, {}).get(name, defaults[name])
            if limit != UNLIMITED and count(edit.draft, name, project) > limit:
                exceeded.append(name)
    if exceeded:
        names = list(dict.fromkeys(exceeded))
        raise ApiError(409, "OverQuota", f"Quota exceeded for resources: {names}.")


def _list(context: Context) -> Response:
    """The limits of the projects that have some of their own, as far as the caller may see them."""
    view, caller = context.backend.policy.view(context.request.turn), context.caller
    projects = [each for each in sorted(view.quotas) if caller.is_admin or each == caller.project]
    shown = [
        {
            **_shown(_limits(context, view, each)),
            "tenant_id": each or NAMELESS,
            "project_id": each or NAMELESS,
        }
        for each in projects
    ]
    return reply({"quotas": shown})


def _show_tenant(context: Context) -> Response:
    return reply({"tenant": _names(context.caller)})


def _show_project(context: Context) -> Response:
    return reply({"project": _names(context.caller)})


def _names(caller: Caller) -> Body:
    name = caller.project or NAMELESS
    return {"tenant_id": name, "project_id": name}


def _show(context: Context, name: str) -> Response:
    project = _visible_project(context, name)
    view = context.backend.policy.view(context.request.turn)
    return reply({"quota": _shown(_limits(context, view, project))})


def _show_default(context: Context, name: str) -> Response:
    _visible_project(context, name)
    return reply({"quota": _shown(context.backend.limits)})


def _show_details(context: Context, name: str) -> Response:
    project = _visible_project(context, name)
    view = context.backend.policy.view(context.request.turn)
    details = {
        name: {
            "limit": limit,
            "used": count(view.policy, name, project) if name in COUNTED else 0,
            "reserved": 0,
        }
        for name, limit in _shown(_limits(context, view, project)).items()
    }
    return reply({"quota": details})


def _update(context: Context, name: str) -> Response:
    project = _editable_project(context, name)
    document = read_json(context.request)
    if not isinstance(document, dict) or set(document) != {"quota"}:
        raise bad_request("Unable to find 'quota' in request body")
    stated = check(_CHECKER, document["quota"])
    limits = {name: int(stated[name]) for name in COUNTED if name in stated}
    policy, turn = context.backend.policy, context.request.turn
    if not stated.get("force"):
        _refuse_too_low(policy.view(turn), project, limits)
    if limits:
        policy.call(turn, lambda store: store.set_quota(project, limits))
    return reply({"quota": _shown(_limits(context, policy.view(turn), project))})


def _delete(context: Context, name: str) -> Response:
    project = _editable_project(context, name)
    policy, turn = context.backend.policy, context.request.turn
    if project not in policy.view(turn).quotas:
        message = f"Quota for project {project or NAMELESS} could not be found."
        raise ApiError(404, "TenantQuotaNotFound", message)
    policy.call(turn, lambda store: store.delete_quota(project))
    return NO_CONTENT


def _project(name: str, caller: Caller) -> str:
    """The project of a path. A caller without a token has a project without a name, shown as `default`."""
    return "" if name == NAMELESS and not caller.project else name


def _visible_project(context: Context, name: str) -> str:
    project = _project(name, context.caller)
    if not context.caller.is_admin and project != context.caller.project:
        raise not_found("Project", "Project", name[:64])
    return project


def _editable_project(context: Context, name: str) -> str:
    if not context.caller.is_admin:
        raise forbidden("Only an admin may change quotas")
    project = _project(name, context.caller)
    if len(project) > LONGEST_TEXT or not project.isprintable():
        raise bad_request("Invalid input for project_id. Reason: it is not the name of a project.")
    return project


def _limits(context: Context, view: View, project: str) -> Limits:
    """The limits that hold for a project."""
    return {**context.backend.limits, **view.quotas.get(project, {})}


def _refuse_too_low(view: View, project: str, limits: Limits) -> None:
    for name, limit in limits.items():
        used = count(view.policy, name, project)
        if limit != UNLIMITED and used > limit:
            raise bad_request(
                f"Quota limit {limit} for {name} must be greater than or equal to already used {used}"
            )


def _shown(limits: Limits) -> Body:
    return {**limits, **dict.fromkeys(_NOT_SERVED, 0)}


def count(objects: Objects, name: str, project: str) -> int:
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


_QUOTA = envelope("quota")
_NAMES = mapping(["tenant_id", "project_id"], tenant_id={"type": "string"}, project_id={"type": "string"})
_ONE = "/v2.0/quotas/{id}"
_DETAILS = "Limits of a project and their use"

ROUTES = (
    Route(
        "GET",
        "/v2.0/quotas",
        _list,
        "Limits of all projects that do not have the defaults",
        response=envelope("quotas", "array"),
    ),
    Route(
        "GET",
        "/v2.0/quotas/tenant",
        _show_tenant,
        "The caller's project",
        response=mapping(["tenant"], tenant=_NAMES),
    ),
    Route(
        "GET",
        "/v2.0/quotas/project",
        _show_project,
        "The caller's project",
        response=mapping(["project"], project=_NAMES),
    ),
    Route("GET", _ONE, _show, "Limits of a project", response=_QUOTA, errors=(404,)),
    Route(
        "PUT",
        _ONE,
        _update,
        "Set limits of a project",
        request=mapping(["quota"], quota=_LIMITS),
        response=_QUOTA,
        errors=(400, 413),
    ),
    Route(
        "DELETE",
        _ONE,
        _delete,
        "Reset the limits of a project to the defaults",
        status=204,
        errors=(400, 404),
    ),
    Route(
        "GET",
        f"{_ONE}/default",
        _show_default,
        "Default limits of projects",
        response=_QUOTA,
        errors=(404,),
    ),
    Route("GET", f"{_ONE}/details", _show_details, _DETAILS, response=_QUOTA, errors=(404,)),
    Route("GET", f"{_ONE}/details.json", _show_details, _DETAILS, response=_QUOTA, errors=(404,)),
)
