"""Uplinks as the compiler knows them, and the MACs of their probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flows.uplinks import Uplink
from sgctl.controller.attach import Role


def way(role: Role) -> Uplink:
    """An uplink as the compiler knows it, without the others' probes."""
    bond = role.interface.bond
    return Uplink((role.interface.ofport,)) if bond is None else Uplink(bond.numbers, bond.lacp)


def probe_mac(role: Role) -> int:
    """The source of an uplink's probes: unicast, of local administration."""
    return role.interface.seed & ~(1 << 40) | 2 << 40


def ways(roles: Mapping[int, Role]) -> dict[int, Uplink]:
    """The uplinks of a bridge, by number, of which there is more to say than this."""
    found = {}
    for number, role in roles.items():
        others = [other for other in roles.values() if other is not role and other.meant & role.meant]
        strangers = frozenset(map(probe_mac, others))
        if strangers or role.interface.bond is not None:
            found[number] = replace(way(role), strangers=strangers, probe=probe_mac(role))
    return found
