"""What a client asks first: versions and extensions."""

from __future__ import annotations

from sgctl.rest.errors import ApiError, wrong_method
from sgctl.rest.http import Body, Request, Response, reply
from sgctl.rest.resources import RESOURCES

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
    "sgctl-network": "address_scope, egress_default, default_group, connection_limit and "
    "bound_members_only of networks",
    "sgctl-port": "iface_id and permitted_ethertypes of ports",
    "sgctl-rule": "number and remote_network_id of rules",
}
"""Aliases of the Neutron API's extensions that are there and, with `sgctl-`, of our own: what they add."""


def versions(request: Request) -> Response:
    """`/`."""
    return reply({"versions": [_version(request)]})


def version(request: Request) -> Response:
    """`/v2.0`."""
    resources = [
        {
            "name": resource.singular,
            "collection": resource.plural,
            "links": [{"rel": "self", "href": f"{request.origin}/v2.0/{resource.path}"}],
        }
        for resource in RESOURCES
    ]
    return reply({"version": _version(request), "resources": resources})


def _version(request: Request) -> Body:
    links = [{"rel": "self", "href": f"{request.origin}/v2.0/"}]
    return {"id": "v2.0", "status": "CURRENT", "links": links}


def extensions(request: Request, rest: tuple[str, ...]) -> Response:
    """`/v2.0/extensions` and `/v2.0/extensions/ALIAS`."""
    if request.method != "GET":
        raise wrong_method(request.method, ("GET",))
    if not rest:
        return reply({"extensions": [_extension(alias) for alias in EXTENSIONS]})
    if len(rest) > 1 or rest[0] not in EXTENSIONS:
        alias = "/".join(rest)[:64]
        raise ApiError(404, "HTTPNotFound", f"Extension with alias {alias} does not exist")
    return reply({"extension": _extension(rest[0])})


def _extension(alias: str) -> Body:
    return {
        "alias": alias,
        "name": alias,
        "description": EXTENSIONS[alias],
        "updated": "2026-01-01T00:00:00Z",
        "links": [],
    }
