"""Reasons why a bridge of this host is not enforced, with the command that fixes each."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from hashlib import blake2b

from sgctl.ovsdb.identifiers import command
from sgctl.switch.listen_address import ListenAddress
from sgctl.vswitch.local_switches import Bridge, LocalSwitches

OPENFLOW = "OpenFlow14"
SECURE = "secure"


def is_ours(bridge: Bridge, address: ListenAddress) -> bool:
    """Whether this controller is one of the bridge's configured controllers."""
    return any(map(address.matches_target, bridge.targets))


def insecure(bridges: Iterable[Bridge], address: ListenAddress, connected: Container[int]) -> list[str]:
    """The names of our bridges whose fail mode lets them forward by themselves without a controller."""
    return [
        bridge.name
        for bridge in bridges
        if bridge.fail_mode != SECURE and (bridge.dpid in connected or is_ours(bridge, address))
    ]


def unused(bridge: Bridge, address: ListenAddress, occupied: bool) -> str:
    """Why an unconnected bridge will not connect; empty if it will, or need not.

    `occupied` tells whether policy ports are on the bridge.
    """
    if is_ours(bridge, address):
        if not bridge.protocols or OPENFLOW in bridge.protocols:
            return ""
        mend = command("ovs-vsctl", "add", "bridge", bridge.name, "protocols", OPENFLOW)
        return f"does not speak OpenFlow 1.4 (its protocols: {_listed(bridge.protocols)}): run `{mend}`"
    if not occupied:
        return ""
    other = f"its controller is {_listed(bridge.targets)}" if bridge.targets else "it has no controller"
    mend = command("ovs-vsctl", "set-controller", bridge.name, address.target)
    return f"ports of the policy are on it, and {other}: run `{mend}`"


def unusable(local: LocalSwitches, address: ListenAddress) -> Iterator[tuple[Bridge, str]]:
    """The bridges that cannot be enforced, with the reason; without bridges of other controllers."""
    for bridge in local.unusable:
        if bridge.dpid:
            twins = [each.name for each in local.unusable if each.dpid == bridge.dpid and each != bridge]
            other_id = blake2b(bridge.name.encode(), digest_size=8).hexdigest()
            mend = command("ovs-vsctl", "set", "bridge", bridge.name, f"other-config:datapath-id={other_id}")
            yield (
                bridge,
                f"has the datapath id of {_listed(twins)}; none of them is enforced: run `{mend}`",
            )
        elif is_ours(bridge, address):
            yield bridge, "is not set up: see the log of ovs-vswitchd"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
