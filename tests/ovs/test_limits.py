"""More rules for one service than fit into one flow, on a real switch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from flows.compiler.bridge import BridgeCompiler, LocalState
from flows.compiler.claims import MOST_CLAIMS
from flows.openflow import pipeline as p
from flows.openflow import wire
from flows.openflow.actions import Conjunction
from flows.openflow.flow import Flow, FlowError, FlowKey
from flows.openflow.numbers import RULES_PER_BAND, conjunction_priority
from flows.openflow.pipeline import EGRESS_RULES
from flows.policy.index import Policy
from flows.policy.objects import (
    AddressPair,
    Change,
    Direction,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)
from lab.ovs import PrivateOvs
from tests.ovs.bridge import BareBridge

RULES = 9000
FIRST = 16
UPLINK = 9
VRRP_UPLINK = 9000
VIP = AddressPair("00:00:5e:00:01:01", Prefix.parse("10.0.0.100"))
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


def test_no_message_exceeds_openflows_maximum(compiled: BridgeCompiler) -> None:
    longest = max(len(wire.bundle_add(1, wire.encode(flow), 1)) for flow in compiled.flows.values())
    assert RULES_PER_BAND * 16 < longest < MOST_OPENFLOW_CAN_SAY


def test_rules_are_spread_over_bands_by_number(compiled: BridgeCompiler) -> None:
    bands = {conjunction_priority(FIRST + number) for number in range(RULES)}
    services = [flow for flow in compiled.flows.values() if len(flow.actions) > 500]
    assert {flow.key.priority for flow in services} == bands


@pytest.mark.switch
def test_thousands_of_rules_on_one_service_work(shared_ovs: PrivateOvs, compiled: BridgeCompiler) -> None:
    with BareBridge(shared_ovs, "limits", {"p1": 1, "up": UPLINK}) as bridge:
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


def routers(count: int) -> BridgeCompiler:
    """This number of virtual routers of one group, with a VRRP rule that names its remote."""
    from_neighbours = Rule(
        "vrrp", 16, "sg", Direction.INGRESS, Ethertype.IPV4, 112, remote_ip_prefix=Prefix.parse("10.0.0.0/16")
    )
    objects: list[PolicyObject] = [Network("blue", "blue"), SecurityGroup("sg", "sg"), from_neighbours]
    ports = {number: f"p{number}" for number in range(1, count + 1)}
    for number, name in ports.items():
        mac = f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"
        objects.append(
            Port(
                name, name, "blue", mac, name, security_groups=frozenset(["sg"]), allowed_address_pairs=(VIP,)
            )
        )
    policy = Policy()
    policy.apply([Change(None, obj) for obj in objects])
    compiler = BridgeCompiler(policy)
    compiler.set_local(LocalState(ports, {VRRP_UPLINK: frozenset(["blue"])}, {"blue": 5}))
    compiler.flush()
    return compiler


def vrrp_outputs(shared_ovs: PrivateOvs, flows: Mapping[FlowKey, Flow], source: str) -> frozenset[str]:
    """Which of three ports an advertisement from outside reaches; raises when the switch gives up on it."""
    with BareBridge(shared_ovs, "vrrp", {"p1": 1, "p300": 300, "p500": 500, "up": VRRP_UPLINK}) as bridge:
        bridge.load(flows)
        vrrp = f"ip,nw_proto=112,nw_src={source},nw_dst=224.0.0.18,nw_ttl=255"
        return bridge.trace(f"in_port=up,dl_src=02:00:00:00:ff:01,dl_dst=01:00:5e:00:00:12,{vrrp}").outputs


@pytest.mark.switch
@pytest.mark.parametrize(("source", "heard"), [("10.0.0.254", {"p1", "p300", "p500"}), ("192.0.2.1", set())])
def test_the_maximum_of_virtual_routers_receive_advertisements(
    shared_ovs: PrivateOvs, source: str, heard: set[str]
) -> None:
    compiler = routers(MOST_CLAIMS[p.SHARED.id])
    assert not compiler.left_out
    assert vrrp_outputs(shared_ovs, compiler.flows, source) == heard


@pytest.mark.switch
def test_with_more_virtual_routers_none_receives_advertisements(shared_ovs: PrivateOvs) -> None:
    compiler = routers(MOST_CLAIMS[p.SHARED.id] + 1)
    assert {key.table for key in compiler.left_out} == {p.ALL_HOLDERS.id, p.SHARED.id}
    assert vrrp_outputs(shared_ovs, compiler.flows, "10.0.0.254") == set()


def test_no_flow_of_a_large_network_exceeds_openflows_maximum() -> None:
    """All share one address and one of its MACs; every second has no port security."""
    count = 5000
    objects: list[PolicyObject] = [Network("blue", "blue")]
    ports = {number: f"p{number}" for number in range(1, count + 1)}
    for number, name in ports.items():
        mac, secure = f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}", number % 2 == 0
        objects.append(
            Port(name, name, "blue", mac, name, allowed_address_pairs=(VIP,), port_security_enabled=secure)
        )
    policy = Policy()
    policy.apply([Change(None, obj) for obj in objects])
    compiler = BridgeCompiler(policy)
    compiler.set_local(LocalState(ports, {}, {"blue": 5}))
    compiler.flush()
    assert max(len(wire.bundle_add(1, wire.encode(flow), 1)) for flow in compiler.flows.values()) < 65535
    assert {key.table for key in compiler.left_out} == {p.ALL_HOLDERS.id, p.NEIGHBOUR.id, p.SHARED.id}


def test_a_flow_that_does_not_fit_is_an_error() -> None:
    actions = tuple(Conjunction(number, 1, 2) for number in range(1, 5000))
    flow = Flow.at(FlowKey(EGRESS_RULES.id, 1, ()), actions)
    with pytest.raises(FlowError, match="do not fit one flow"):
        wire.encode(flow)
