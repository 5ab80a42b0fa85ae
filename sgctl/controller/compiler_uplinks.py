"""Converts uplink roles to the compiler's `Uplink`, and computes the MAC addresses of probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flows.compiler.uplinks import Uplink
from sgctl.controller.bindings import InterfaceRole


def way(role: InterfaceRole) -> Uplink:
    """The compiler's `Uplink` of a role, without the probe addresses."""
    bond = role.interface.bond
    return Uplink((role.interface.ofport,)) if bond is None else Uplink(bond.numbers, bond.lacp)


def probe_mac(role: InterfaceRole) -> int:
    """The source MAC address of an uplink's probes: unicast and locally administered, as an integer."""
    return role.interface.seed & ~(1 << 40) | 2 << 40


def ways(roles: Mapping[int, InterfaceRole]) -> dict[int, Uplink]:
    """By number: the uplinks that are bonds or share networks with other uplinks, with probe addresses."""
    found = {}
    for number, role in roles.items():
        others = [other for other in roles.values() if other is not role and other.meant & role.meant]
        strangers = frozenset(map(probe_mac, others))
        if strangers or role.interface.bond is not None:
            found[number] = replace(way(role), strangers=strangers, probe=probe_mac(role))
    return found
