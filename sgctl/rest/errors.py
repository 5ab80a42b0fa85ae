"""The errors of requests, with the messages and status codes of each API."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from sgctl.rest.http import Body, Response, reply
from sgctl.service.errors import Code, Finding, PolicyError


class ApiError(Exception):
    """A request that is refused; `kind` is Neutron's exception type."""

    def __init__(
        self, status: int, kind: str, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = headers


def bad_request(message: str, kind: str = "HTTPBadRequest") -> ApiError:
    """The request itself is invalid."""
    return ApiError(400, kind, message)


def not_found(type_name: str, noun: str, identifier: str) -> ApiError:
    """There is no such object, or the caller may not see it."""
    return ApiError(404, f"{type_name}NotFound", f"{noun} {identifier} could not be found.")


def no_such_path(path: str) -> ApiError:
    """There is no such path."""
    return ApiError(404, "HTTPNotFound", f"The resource could not be found: {path}")


def wrong_method(method: str, allowed: tuple[str, ...]) -> ApiError:
    """The path exists, but not for this method."""
    allow = ("Allow", ", ".join(allowed))
    return ApiError(405, "HTTPMethodNotAllowed", f"{method} is not possible here", (allow,))


def forbidden(message: str) -> ApiError:
    """The caller's role does not permit this."""
    return ApiError(403, "PolicyNotAuthorized", message)


class ErrorForm(NamedTuple):
    """How the API reports one kind of finding: the status and Neutron's exception type."""

    status: int
    kind: str


_BY_FIELD = {
    (Code.INVALID, "Rule", "protocol"): ErrorForm(400, "SecurityGroupRuleInvalidProtocol"),
    (Code.INVALID, "Rule", "port_range_min"): ErrorForm(400, "SecurityGroupInvalidPortRange"),
    (Code.INVALID, "Rule", "port_range_max"): ErrorForm(400, "SecurityGroupInvalidPortRange"),
    (Code.INVALID, "Rule", "remote_ip_prefix"): ErrorForm(400, "SecurityGroupRuleParameterConflict"),
    (Code.INVALID, "Port", "fixed_ips"): ErrorForm(400, "InvalidIpForNetwork"),
    (Code.INVALID, "Port", "security_groups"): ErrorForm(409, "PortSecurityAndIPRequiredForSecurityGroups"),
    (Code.INVALID, "Port", "allowed_address_pairs"): ErrorForm(409, "AddressPairAndPortSecurityRequired"),
    (Code.TAKEN, "Port", "mac_address"): ErrorForm(409, "MacAddressInUse"),
    (Code.TAKEN, "Port", "fixed_ips"): ErrorForm(409, "IpAddressAlreadyAllocated"),
    (Code.TAKEN, "Rule", ""): ErrorForm(409, "SecurityGroupRuleExists"),
    (Code.TAKEN, "Network", "subnets"): ErrorForm(400, "InvalidInput"),
}
_NEED_SECURITY = ("security_groups", "allowed_address_pairs")
_NEEDS_SECURITY = "port_security_enabled"
"""What the reason names when these are refused for want of port security."""

_TYPES = {
    "Network": "Network",
    "Port": "Port",
    "SecurityGroup": "SecurityGroup",
    "Rule": "SecurityGroupRule",
    "AddressGroup": "AddressGroup",
}
_TARGETS = {
    "security_group_id": "SecurityGroup",
    "security_groups": "SecurityGroup",
    "remote_group_id": "SecurityGroup",
    "remote_address_group_id": "AddressGroup",
    "network_id": "Network",
    "remote_network_id": "Network",
    "default_group": "SecurityGroup",
}


def from_policy(error: PolicyError) -> ApiError:
    """A refusal of the service layer in Neutron's form; the first finding decides the type."""
    first = error.findings[0]
    status, kind = _refusal(first)
    return ApiError(status, kind, "; ".join(map(_told, error.findings)))


_OF_SUBNET = re.compile(r"subnets\[[0-9]+\]\.")


def _told(finding: Finding) -> str:
    """A finding in words; a rule that is about to be made has no name that would mean anything.

    A subnet's attribute is called as the API does: it shows no place among the network's subnets.
    """
    if finding.source.kind != "Rule":
        return str(replace(finding, field=_OF_SUBNET.sub("", finding.field)))
    return ": ".join(part for part in ("Security group rule", finding.field, finding.reason) if part)


def _refusal(finding: Finding) -> ErrorForm:
    kind = _TYPES.get(finding.source.kind, "Object")
    known = _BY_FIELD.get((finding.code, finding.source.kind, finding.field))
    if finding.code is Code.NOT_FOUND:
        return ErrorForm(404, f"{_TARGETS.get(finding.field, kind)}NotFound")
    if finding.code is Code.IN_USE:
        return ErrorForm(409, f"{kind}InUse")
    if known is not None and "ICMP" in finding.reason:
        return ErrorForm(400, "SecurityGroupInvalidIcmpValue")
    if finding.field in _NEED_SECURITY and _NEEDS_SECURITY not in finding.reason:
        return ErrorForm(400, "InvalidInput")
    if known is not None:
        return known
    return ErrorForm(409, f"{kind}InUse") if finding.code is Code.TAKEN else ErrorForm(400, "InvalidInput")


_COMPUTE_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    503: "serviceUnavailable",
}


class ApiService(StrEnum):
    """The OpenStack services that are served. Each has its own form of errors."""

    NETWORK = "network"
    COMPUTE = "compute"
    IDENTITY = "identity"


def service_of(path: str) -> ApiService:
    """The service to which a path belongs."""
    services = (service for service in ApiService if path.startswith(f"/{service}"))
    return next(services, ApiService.NETWORK)


def error_response(error: ApiError, path: str) -> Response:
    """The error as the clients of the service under this path expect it."""
    return reply(_DOCUMENTS[service_of(path)](error), error.status, error.headers)


def _network_error(error: ApiError) -> Body:
    return {"NeutronError": {"type": error.kind, "message": error.message, "detail": ""}}


def _compute_error(error: ApiError) -> Body:
    name = _COMPUTE_NAMES.get(error.status, "computeFault")
    return {name: {"code": error.status, "message": error.message}}


def _identity_error(error: ApiError) -> Body:
    return {"error": {"code": error.status, "title": error.kind, "message": error.message}}


_DOCUMENTS = {
    ApiService.NETWORK: _network_error,
    ApiService.COMPUTE: _compute_error,
    ApiService.IDENTITY: _identity_error,
}
