"""What keeps a bridge of this host from being enforced, with the command that mends it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from hashlib import blake2b

from sgctl.store.identifiers import command
from sgctl.store.local import Bridge, LocalSwitches
from sgctl.switch.listener import Listener

OPENFLOW = "OpenFlow14"
SECURE = "secure"


def is_ours(bridge: Bridge, listener: Listener) -> bool:
    """Whether the bridge names this controller as one of its own."""
    return any(map(listener.is_meant_by, bridge.targets))


def insecure(bridges: Iterable[Bridge], listener: Listener, connected: Container[int]) -> list[str]:
    """The names of the bridges that obey us, or are to, and would forward by themselves without us."""
    return [
        bridge.name
        for bridge in bridges
        if bridge.fail_mode != SECURE and (bridge.dpid in connected or is_ours(bridge, listener))
    ]


def unused(bridge: Bridge, listener: Listener, occupied: bool) -> str:
    """Why a bridge that is not connected will not connect; `occupied` says that policy ports are on it."""
    if is_ours(bridge, listener):
        if not bridge.protocols or OPENFLOW in bridge.protocols:
            return ""
        mend = command("ovs-vsctl", "add", "bridge", bridge.name, "protocols", OPENFLOW)
        return f"does not speak OpenFlow 1.4 (its protocols: {_listed(bridge.protocols)}): run `{mend}`"
    if not occupied:
        return ""
    other = f"its controller is {_listed(bridge.targets)}" if bridge.targets else "it has no controller"
    mend = command("ovs-vsctl", "set-controller", bridge.name, listener.target)
    return f"ports of the policy are on it, and {other}: run `{mend}`"


def unusable(local: LocalSwitches, listener: Listener) -> Iterator[tuple[Bridge, str]]:
    """The bridges that nobody can enforce, and why, but for those that never meant us."""
    for bridge in local.unusable:
        if bridge.dpid:
            twins = [each.name for each in local.unusable if each.dpid == bridge.dpid and each != bridge]
            other_id = blake2b(bridge.name.encode(), digest_size=8).hexdigest()
            mend = command("ovs-vsctl", "set", "bridge", bridge.name, f"other-config:datapath-id={other_id}")
            yield (
                bridge,
                f"has the datapath id of {_listed(twins)}; none of them is enforced: run `{mend}`",
            )
        elif is_ours(bridge, listener):
            yield bridge, "is not set up: the log of ovs-vswitchd tells why"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
