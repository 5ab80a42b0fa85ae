"""The flows of small scenarios, compared with files that people can read.

On a difference, the test writes NAME.actual beside NAME.txt; if it is right, rename it to NAME.txt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from flows.compiler.bridge import LocalState, base_flows, compile_bridge
from flows.compiler.uplinks import Uplink
from flows.openflow.flow import Flow, FlowKey
from flows.policy.index import Policy
from flows.policy.objects import (
    AddressGroup,
    AddressPair,
    Change,
    Direction,
    EgressDefault,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)

GOLDEN = Path(__file__).parent / "golden"
EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS
IPV4, IPV6 = Ethertype.IPV4, Ethertype.IPV6


def prefix(text: str) -> Prefix:
    return Prefix.parse(text)


def port(number: int, groups: str, *addresses: str, pairs: tuple[AddressPair, ...] = ()) -> Port:
    return Port(
        id=f"p{number}",
        name=f"p{number}",
        network_id="blue",
        mac=f"02:00:00:00:00:{number:02x}",
        iface_id=f"p{number}",
        fixed_ips=tuple(map(prefix, addresses)),
        security_groups=frozenset(groups.split()),
        allowed_address_pairs=pairs,
    )


BLUE = Network("blue", "blue", subnets=(prefix("10.0.0.0/24"),))
WEB, DB = SecurityGroup("web", "web"), SecurityGroup("db", "db")
SHARED = (AddressPair("00:00:5e:00:01:0a", prefix("10.0.0.100")),)
AT = LocalState(ports={1: "p1", 2: "p2"}, uplinks={9: frozenset(["blue"])}, zones={"blue": 10})

SCENARIOS: dict[str, tuple[LocalState, list[PolicyObject]]] = {
    "one-port": (AT, [BLUE, WEB, port(1, "web", "10.0.0.1", "2001:db8::1")]),
    "rules-without-remote": (
        AT,
        [
            BLUE,
            WEB,
            port(1, "web"),
            Rule("r16", 16, "web", EGRESS, IPV4),
            Rule("r17", 17, "web", INGRESS, IPV4, 6, 80, 80),
            Rule("r18", 18, "web", INGRESS, IPV4, 6, 6000, 6003),
            Rule("r19", 19, "web", INGRESS, IPV4, 1, 8, 0),
            Rule("r20", 20, "web", INGRESS, IPV6, 17),
        ],
    ),
    "rules-with-remotes": (
        AT,
        [
            BLUE,
            WEB,
            DB,
            AddressGroup("monitors", "monitors", frozenset([prefix("192.0.2.0/24"), prefix("192.0.2.7")])),
            port(1, "web", "10.0.0.1"),
            port(2, "db", "10.0.0.2"),
            Rule("r16", 16, "db", INGRESS, IPV4, 6, 3306, 3306, remote_group_id="web"),
            Rule("r17", 17, "db", INGRESS, IPV4, remote_group_id="db"),
            Rule("r18", 18, "db", INGRESS, IPV4, 6, 22, 22, remote_ip_prefix=prefix("192.0.0.0/16")),
            Rule("r19", 19, "db", INGRESS, IPV4, 6, 9100, 9100, remote_address_group_id="monitors"),
            Rule("r20", 20, "web", EGRESS, IPV4, remote_network_id="blue"),
        ],
    ),
    "egress-open": (
        AT,
        [
            Network("blue", "blue", egress_default=EgressDefault.OPEN_UNTIL_RULE, default_group="web"),
            WEB,
            port(1, ""),
            Rule("r16", 16, "web", INGRESS, IPV4),
        ],
    ),
    "no-rules-for-ipv6": (AT, [BLUE, WEB, port(1, "web"), Rule("r16", 16, "web", INGRESS, IPV4)]),
    "tagged-uplinks": (
        LocalState(
            ports={300: "p1"}, uplinks={8: frozenset(["blue"]), 9: frozenset(["blue"])}, zones={"blue": 10}
        ),
        [Network("blue", "blue", segmentation_id=100), WEB, port(1, "web")],
    ),
    "bonds": (
        LocalState(
            ports={1: "p1"},
            uplinks={5: frozenset(["blue"]), 7: frozenset(["blue"])},
            zones={"blue": 10},
            special_uplinks={
                5: Uplink((5, 6), other_probes=frozenset([0x020000000099])),
                7: Uplink((7, 8), lacp=True),
            },
        ),
        [Network("blue", "blue", segmentation_id=100), WEB, port(1, "web")],
    ),
    "address-pairs": (
        AT,
        [
            BLUE,
            WEB,
            port(
                1,
                "web",
                "10.0.0.1",
                pairs=(
                    AddressPair("02:00:00:00:00:01", prefix("10.0.0.100")),
                    AddressPair("00:00:5e:00:01:01", prefix("10.0.0.0/28")),
                ),
            ),
        ],
    ),
    "routed-subnets": (
        AT,
        [
            replace(BLUE, subnets=tuple(map(prefix, ("10.0.0.0/24", "10.0.9.0/24", "2001:db8::/64")))),
            WEB,
            port(1, "web", "10.0.0.1"),
        ],
    ),
    "shared-here": (AT, [BLUE, WEB, *(port(n, "web", f"10.0.0.{n}", pairs=SHARED) for n in (1, 2))]),
    "shared-elsewhere": (AT, [BLUE, WEB, *(port(n, "web", f"10.0.0.{n}", pairs=SHARED) for n in (1, 3))]),
    "dscp": (
        AT,
        [
            BLUE,
            WEB,
            port(1, "web"),
            Rule("r16", 16, "web", EGRESS, IPV4, ip_dscp=0),
            Rule("r17", 17, "web", INGRESS, IPV4, 6, 80, 80, ip_dscp=46),
            Rule("r18", 18, "web", INGRESS, IPV6, 17, remote_group_id="web", ip_dscp=46),
        ],
    ),
    "stateless": (
        AT,
        [
            BLUE,
            SecurityGroup("web", "web", stateful=False),
            port(1, "web"),
            Rule("r16", 16, "web", INGRESS, IPV4, 6, 80, 80),
        ],
    ),
}


def written(flows: Mapping[FlowKey, Flow]) -> str:
    """One flow a line, by table, then from high to low priority."""
    ordered = sorted(flows.values(), key=lambda flow: (flow.key.table, -flow.key.priority, str(flow)))
    return "".join(f"{flow.text(names=True)}\n" for flow in ordered)


def compare(name: str, actual: str) -> None:
    expected, got = GOLDEN / f"{name}.txt", GOLDEN / f"{name}.actual"
    if not expected.exists() or expected.read_text() != actual:
        got.write_text(actual)
        pytest.fail(f"differs from {expected.name}: see {got.name}", pytrace=False)
    got.unlink(missing_ok=True)


def test_static_flows() -> None:
    compare("static", written({flow.key: flow for flow in base_flows()}))


@pytest.mark.parametrize("name", SCENARIOS)
def test_flows_of_a_scenario(name: str) -> None:
    local, objects = SCENARIOS[name]
    policy = Policy()
    policy.apply(Change(None, each) for each in objects)
    static = {flow.key for flow in base_flows()}
    flows = compile_bridge(policy, local)
    assert static <= flows.keys()
    compare(name, written({key: flow for key, flow in flows.items() if key not in static}))


def test_every_file_belongs_to_a_scenario() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {"static", *SCENARIOS}
