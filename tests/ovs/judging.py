"""Compares the switch with the reference for one policy and one packet: the verdict and its reason."""

from __future__ import annotations

from collections.abc import Iterator

from flows.compiler.bridge import compile_bridge
from flows.openflow.reasons import Reason
from flows.openflow.registers import EGRESS_OPEN
from flows.policy.index import Policy
from flows.policy.objects import Change, PolicyObject, Port
from flows.reference.verdict import Exemption, Grant, Packet, PolicyText, Refusal, Verdict, judge
from tests.ovs import wiring
from tests.ovs.bridge import BareBridge
from tests.ovs.packets import as_flow, tracked_as
from tests.ovs.tracing import Trace

REASONS = {
    Refusal.ADMIN_DOWN: Reason.ADMIN_DOWN,
    Refusal.SPOOFED_SOURCE: Reason.IP_SPOOF,
    Refusal.UNSPECIFIED_SOURCE: Reason.UNSPECIFIED_SOURCE,
    Refusal.NOT_UNICAST: Reason.BUM,
    Refusal.DHCP_SERVER: Reason.DHCP_SERVER,
    Refusal.ROUTER: Reason.ROUTER_ADVERTISEMENT,
    Refusal.FOR_SERVERS: None,  # sent on, but not to a workload
    Refusal.CLAIMED_SOURCE: Reason.UPLINK_SPOOF,
    Refusal.INVALID: Reason.INVALID,
    Refusal.FORGED_ERROR: Reason.FORGED_ERROR,
    Refusal.SENDER_RULES: Reason.EGRESS_POLICY,
    Refusal.FOREIGN_ADDRESS: Reason.FOREIGN_ADDRESS,
    Refusal.RECEIVER_RULES: Reason.INGRESS_POLICY,
    Refusal.SENDER_FRAGMENT: Reason.EGRESS_FRAGMENT,
    Refusal.RECEIVER_FRAGMENT: Reason.INGRESS_FRAGMENT,
}


def load(
    bridge: BareBridge,
    objects: list[PolicyObject],
    elsewhere: frozenset[str] = frozenset(),
    unbound: frozenset[str] = frozenset(),
) -> PolicyText:
    """Bring the bridge to this policy. The ports `elsewhere` (ids) are on no bridge here.

    Ports that are `unbound` have not been reported as bound.
    """
    policy = Policy()
    policy.apply_bound(
        {each.id: True for each in objects if isinstance(each, Port) and each.id not in unbound}
    )
    policy.apply(Change(None, each) for each in objects)
    objects_by_kind = (policy.networks, policy.ports, policy.address_groups, policy.rules, policy.groups)
    text = PolicyText(*objects_by_kind, elsewhere=elsewhere, unbound=unbound)
    bridge.load(compile_bridge(policy, wiring.local_state(text)))
    return text


def send(bridge: BareBridge, text: PolicyText, packet: Packet) -> Trace:
    """Trace the packet from where its sender is attached."""
    in_port = wiring.INTERFACES[entry(text, packet)]
    return bridge.trace(as_flow(text, packet, in_port), [tracked_as(packet)])


def entry(text: PolicyText, packet: Packet) -> str:
    """The interface on which the packet arrives; packets from outside use the network's uplinks in turn."""
    if packet.sender is not None:
        return packet.sender
    uplinks = wiring.carriers(text.networks[packet.network_id])
    return uplinks[packet.header.first % len(uplinks)]


def expected_outputs(text: PolicyText, packet: Packet, verdict: Verdict) -> frozenset[str]:
    """The interfaces to which the packet goes."""
    outside = frozenset(wiring.carriers(text.networks[packet.network_id])) - {entry(text, packet)}
    if verdict.refusal is Refusal.FOR_SERVERS or _is_for_servers(text, packet, verdict):
        return outside | _listeners(text, packet)
    if not verdict.allowed:
        return frozenset()
    return outside if packet.receiver is None else frozenset([packet.receiver])


def _is_for_servers(text: PolicyText, packet: Packet, verdict: Verdict) -> bool:
    """Whether the packet is a message to routers or servers that needs no rule."""
    restricted = packet.sender is not None and text.ports[packet.sender].port_security_enabled
    return restricted and verdict.allowed and verdict.sender == Grant(exemption=Exemption.CONTROL)


def _listeners(text: PolicyText, packet: Packet) -> frozenset[str]:
    return frozenset(
        port.id
        for port in text.ports.values()
        if port.network_id == packet.network_id and port.admin_state_up and not port.port_security_enabled
    )


def rule_fits(text: PolicyText, grant: Grant | None, number: int) -> bool:
    """Whether the switch found one of the rules that the reference found."""
    if grant is None or grant.exemption not in (None, Exemption.EGRESS_OPEN):
        return number == 0
    if grant.exemption is Exemption.EGRESS_OPEN:
        return number == EGRESS_OPEN
    return number in {text.rules[rule].number for rule in grant.rules}


def disagreements(bridge: BareBridge, text: PolicyText, packet: Packet) -> list[str]:
    """Everything in which switch and reference differ on a packet."""
    verdict, trace = judge(text, packet), send(bridge, text, packet)
    return list(_differences(text, packet, verdict, trace))


def _differences(text: PolicyText, packet: Packet, verdict: Verdict, trace: Trace) -> Iterator[str]:
    if verdict.refusal is Refusal.RECEIVER_DOWN:
        # As if it were not there; another port may be next in line for its MAC.
        if packet.receiver in trace.outputs:
            yield "reaches a port that is down"
        return
    outputs = expected_outputs(text, packet, verdict)
    if trace.outputs != outputs:
        yield f"leaves by {set(trace.outputs) or 'nothing'}, not {set(outputs) or 'nothing'}"
    expected = None if verdict.refusal is None else REASONS[verdict.refusal]
    if trace.reason is not expected:
        yield f"dropped for {trace.reason!r}, not {expected!r}"
    for side, grant, number in (
        ("sender", verdict.sender, trace.sender_rule),
        ("receiver", verdict.receiver, trace.receiver_rule),
    ):
        if not rule_fits(text, grant, number):
            yield f"{side}: rule {number}, not {grant}"
    segment = text.networks[packet.network_id].segmentation_id
    if packet.sender is not None and trace.outputs & set(wiring.UPLINKS) and trace.tag != segment:
        yield f"tagged {trace.tag}, not {segment}"
