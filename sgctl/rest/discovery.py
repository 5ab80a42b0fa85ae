"""Versions and extensions, which a client requests first."""

from __future__ import annotations

from flows.policy.objects import Network, PolicyObject, Port, Rule
from sgctl.attributes.declarations import ATTRIBUTES
from sgctl.attributes.value_types import Schema
from sgctl.rest.errors import ApiError
from sgctl.rest.http import Body, Response, reply
from sgctl.rest.resources import RESOURCES
from sgctl.rest.routing import Auth, Context, Handler, Route
from sgctl.rest.schemas import envelope


def _own(kind: type[PolicyObject]) -> str:
    """The attributes that Neutron does not have."""
    names = [each.name for each in ATTRIBUTES[kind] if each.own]
    return f"{', '.join(names[:-1])} and {names[-1]}"


EXTENSIONS = {
    "security-group": "security groups and their rules",
    "address-group": "named sets of addresses",
    "security-groups-remote-address-group": "address groups as remotes of rules",
    "security-groups-normalized-cidr": "normalized_cidr of rules",
    "security-groups-rules-belongs-to-default-sg": "belongs_to_default_sg of rules",
    "stateful-security-group": "stateful of security groups",
    "port-security": "port_security_enabled of ports",
    "allowed-address-pairs": "allowed_address_pairs of ports",
    "binding": "binding attributes of ports",
    "provider": "provider attributes of networks",
    "standard-attr-description": "description of everything",
    "standard-attr-revisions": "revision_number of everything",
    "standard-attr-tag": "tags of everything",
    "standard-attr-timestamp": "created_at and updated_at of everything",
    "tag-ports-during-bulk-creation": "tags when ports are created",
    "revision-if-match": "If-Match with a revision_number",
    "project-id": "project_id beside tenant_id",
    "quotas": "limits for projects",
    "quota_details": "limits with what is used",
    "pagination": "limit and marker of lists",
    "sorting": "sort_key and sort_dir of lists",
    "ip-substring-filtering": "ip_address_substr in the fixed_ips filter",
    "filter-validation": "unknown filters are refused",
    "net-mtu": "mtu of networks",
    "sgctl-network": f"{_own(Network)} of networks",
    "sgctl-port": f"{_own(Port)} of ports",
    "sgctl-rule": f"{_own(Rule)} of rules",
}
"""The extensions that are served, by alias, and what each adds. Those with `sgctl-` are not Neutron's."""


def _versions(context: Context) -> Response:
    return reply({"versions": [_version(context)]})


def _resources(context: Context) -> Response:
    resources = [
        {
            "name": resource.singular,
            "collection": resource.plural,
            "links": [_self(context, f"/v2.0/{resource.path}")],
        }
        for resource in RESOURCES
    ]
    return reply({"version": _version(context), "resources": resources})


def _version(context: Context) -> Body:
    return {"id": "v2.0", "status": "CURRENT", "links": [_self(context, "/v2.0/")]}


def _self(context: Context, path: str) -> Body:
    return {"rel": "self", "href": f"{context.request.origin}{path}"}


def _extensions(_: Context) -> Response:
    return reply({"extensions": [_extension(alias) for alias in EXTENSIONS]})


def _show_extension(_: Context, alias: str) -> Response:
    if alias not in EXTENSIONS:
        raise ApiError(404, "HTTPNotFound", f"Extension with alias {alias[:64]} does not exist")
    return reply({"extension": _extension(alias)})


def _extension(alias: str) -> Body:
    return {
        "alias": alias,
        "name": alias,
        "description": EXTENSIONS[alias],
        "updated": "2026-01-01T00:00:00Z",
        "links": [],
    }


def _compute_versions(context: Context) -> Response:
    return reply({"versions": [_compute(context)]})


def _compute_version(context: Context) -> Response:
    return reply({"version": _compute(context)})


def _compute(context: Context) -> Body:
    links = [_self(context, "/compute/v2.1/")]
    return {"id": "v2.1", "status": "CURRENT", "version": "2.1", "min_version": "2.1", "links": links}


def _identity_versions(context: Context) -> Response:
    return reply({"versions": {"values": [_identity(context)]}})


def _identity_version(context: Context) -> Response:
    return reply({"version": _identity(context)})


def _identity(context: Context) -> Body:
    links = [_self(context, "/identity/v3/")]
    return {"id": "v3.14", "status": "stable", "links": links, "media-types": []}


def _public(path: str, handler: Handler, summary: str, response: Schema) -> Route:
    """A route that clients request before they send a token."""
    return Route("GET", path, handler, summary, response=response, auth=Auth.NONE)


ROUTES = (
    _public("/", _versions, "Versions", envelope("versions", "array")),
    _public("/v2.0", _resources, "The version", envelope("version")),
    Route("GET", "/v2.0/extensions", _extensions, "Extensions", response=envelope("extensions", "array")),
    Route(
        "GET",
        "/v2.0/extensions/{alias}",
        _show_extension,
        "An extension",
        response=envelope("extension"),
        errors=(404,),
    ),
    _public("/compute", _compute_versions, "Versions of compute", envelope("versions", "array")),
    _public("/compute/v2.1", _compute_version, "The version of compute", envelope("version")),
    _public("/identity", _identity_versions, "Versions of identity", envelope("versions")),
    _public("/identity/v3", _identity_version, "The version of identity", envelope("version")),
)
