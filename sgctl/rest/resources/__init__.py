"""The collections of the Neutron API that sgctl serves."""

from __future__ import annotations

from typing import Any

from sgctl.rest.resource import Resource
from sgctl.rest.resources.address_groups import AddressGroups
from sgctl.rest.resources.networks import Networks
from sgctl.rest.resources.ports import Ports
from sgctl.rest.resources.rules import Rules
from sgctl.rest.resources.security_groups import SecurityGroupsResource
from sgctl.rest.resources.subnets import Subnets

RESOURCES: tuple[Resource[Any], ...] = (
    Networks(),
    Subnets(),
    Ports(),
    SecurityGroupsResource(),
    Rules(),
    AddressGroups(),
)
