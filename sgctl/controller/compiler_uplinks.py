"""Converts the bindings of uplinks to the compiler's `Uplink`, and computes the MAC addresses of probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flows.compiler.uplinks import Uplink
from sgctl.controller.bindings import Binding


def compiler_uplink(binding: Binding) -> Uplink:
    """The compiler's `Uplink` of a binding, without the probe addresses."""
    bond = binding.interface.bond
    return Uplink((binding.interface.ofport,)) if bond is None else Uplink(bond.numbers, bond.lacp)


def probe_mac(binding: Binding) -> int:
    """The source MAC address of an uplink's probes: unicast and locally administered, as an integer."""
    return binding.interface.seed & ~(1 << 40) | 2 << 40


def compiler_uplinks(bindings: Mapping[int, Binding]) -> dict[int, Uplink]:
    """By number: the uplinks that are bonds or share networks with other uplinks, with probe addresses."""
    found = {}
    for number, binding in bindings.items():
        others = [
            other
            for other in bindings.values()
            if other is not binding and other.declared_networks & binding.declared_networks
        ]
        other_probes = frozenset(map(probe_mac, others))
        if other_probes or binding.interface.bond is not None:
            found[number] = replace(
                compiler_uplink(binding), other_probes=other_probes, probe=probe_mac(binding)
            )
    return found
