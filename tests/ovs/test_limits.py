"""What fits: more rules on one service than one flow can hold, on a real switch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows import wire
from flows.actions import Conjunction
from flows.compiler import BridgeCompiler, LocalState
from flows.flow import Flow, FlowError, FlowKey
from flows.model import Change, Direction, Ethertype, Network, PolicyObject, Port, Prefix, Rule, SecurityGroup
from flows.pipeline import EGRESS_RULES, RULES_PER_BAND, conjunction_priority
from flows.policy import Policy
from lab.ovs import PrivateOvs
from tests.ovs.bridge import DummyBridge

RULES = 9000
FIRST = 16
UPLINK = 9
MOST_OPENFLOW_CAN_SAY = 65535


def remote(number: int) -> Prefix:
    return Prefix(4, 0x14000000 + number, 32)


def policy_objects() -> Iterator[PolicyObject]:
    """One group with rules for the same TCP port, each from another address."""
    yield Network("blue", "blue")
    yield SecurityGroup("sg", "sg")
    for number in range(RULES):
        yield Rule(
            id=f"r{number}",
            number=FIRST + number,
            group_id="sg",
            direction=Direction.INGRESS,
            ethertype=Ethertype.IPV4,
            protocol=6,
            port_range_min=80,
            port_range_max=80,
            remote_ip_prefix=remote(number),
        )
    yield Port("p1", "p1", "blue", "02:00:00:00:00:01", "p1", (Prefix.parse("10.0.0.1"),), frozenset(["sg"]))


@pytest.fixture(scope="module")
def compiled() -> BridgeCompiler:
    policy = Policy()
    policy.apply([Change(None, obj) for obj in policy_objects()])
    compiler = BridgeCompiler(policy)
    compiler.set_local(LocalState({1: "p1"}, {UPLINK: frozenset(["blue"])}, {"blue": 5}))
    compiler.flush()
    return compiler


def test_no_message_is_longer_than_openflow_can_say(compiled: BridgeCompiler) -> None:
    longest = max(len(wire.bundle_add(1, wire.encode(flow), 1)) for flow in compiled.flows.values())
    assert RULES_PER_BAND * 16 < longest < MOST_OPENFLOW_CAN_SAY


def test_rules_are_spread_over_bands_by_number(compiled: BridgeCompiler) -> None:
    bands = {conjunction_priority(FIRST + number) for number in range(RULES)}
    services = [flow for flow in compiled.flows.values() if len(flow.actions) > 500]
    assert {flow.key.priority for flow in services} == bands


@pytest.mark.switch
def test_thousands_of_rules_on_one_service_work(simulated: PrivateOvs, compiled: BridgeCompiler) -> None:
    with DummyBridge(simulated, "limits", {"p1": 1, "up": UPLINK}) as bridge:
        bridge.load(compiled.flows)
        assert len(bridge.installed()) == len(compiled.flows)
        for number in (0, RULES_PER_BAND - FIRST, RULES_PER_BAND, 4500, RULES - 1):
            trace = bridge.trace(arriving(number), ["trk,new"])
            assert trace.outputs == {"p1"}, trace.text
            assert trace.receiver_rule == FIRST + number
        assert not bridge.trace(arriving(RULES), ["trk,new"]).outputs


def arriving(number: int) -> str:
    return (
        f"in_port=up,tcp,dl_src=02:00:00:00:00:99,dl_dst=02:00:00:00:00:01,"
        f"nw_src={remote(number)},nw_dst=10.0.0.1,tcp_src=1,tcp_dst=80,nw_ttl=64"
    )


def test_a_flow_that_does_not_fit_is_an_error() -> None:
    actions = tuple(Conjunction(number, 1, 2) for number in range(1, 5000))
    flow = Flow.at(FlowKey(EGRESS_RULES.id, 1, ()), actions)
    with pytest.raises(FlowError, match="do not fit one flow"):
        wire.encode(flow)
