"""How the ports and networks of the pools are attached to the tests' bridge.

Every network has its own uplink; networks with a segmentation id are also on a shared trunk.
"""

from __future__ import annotations

from collections.abc import Iterable

from flows.compiler.bridge import LocalState
from flows.policy.objects import Network
from flows.reference.verdict import PolicyText
from tests.unit.strategies import NETWORKS, PORTS

OFPORTS = {port: number for number, port in enumerate(PORTS, 1)}
TRUNK = "trunk"
UPLINKS = {TRUNK: 11, "blue-up": 12, "red-up": 13}
ZONES = {network: 1001 + index for index, network in enumerate(NETWORKS)}
INTERFACES = {**OFPORTS, **UPLINKS}


def carriers(network: Network) -> tuple[str, ...]:
    """The uplinks of a network, by name."""
    own = f"{network.id}-up"
    return (own,) if network.segmentation_id is None else (own, TRUNK)


def local_state(text: PolicyText) -> LocalState:
    """All ports of the policy bound that are not elsewhere, all networks on their uplinks."""
    return LocalState(
        ports={OFPORTS[port]: port for port in text.ports if port not in text.elsewhere},
        uplinks={number: _carried(name, text.networks.values()) for name, number in UPLINKS.items()},
        zones={network: ZONES[network] for network in text.networks},
    )


def _carried(uplink: str, networks: Iterable[Network]) -> frozenset[str]:
    return frozenset(network.id for network in networks if uplink in carriers(network))
