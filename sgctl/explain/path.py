"""Compares a packet's path through the real switch (`ofproto/trace`) with the reference verdict.

Sources: ovs-vswitchd(8), ovs-fields(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.numbers import DSCP_OF_OPENER
from flows.openflow.reasons import Reason
from flows.policy.objects import Network
from flows.reference.frame import Frame, FrameRefusal, is_group, judge_frame
from flows.reference.packet import ICMPV6, UDP
from flows.reference.verdict import (
    Conversation,
    Exemption,
    Packet,
    PolicyText,
    Refusal,
    State,
    Verdict,
    judge,
)
from sgctl.controller.engine import ManagedBridge
from sgctl.explain.expected import Unexplained
from sgctl.explain.flow_names import FlowNames, table_name
from sgctl.explain.question import group_mac

_OUTSIDE_MAC = "02:00:00:00:ff:fe"
"""The MAC used for a machine behind an uplink, whose real MAC is not known."""
_TRACKED = {
    State.NEW: "trk,new",
    State.ESTABLISHED: "trk,est",
    State.REPLY: "trk,est,rpl",
    State.INVALID: "trk,inv",
}
_RELATED = {State.ESTABLISHED: "trk,rel", State.REPLY: "trk,rel,rpl"}
FRAME_REASONS = {
    FrameRefusal.SOURCE_MAC: Reason.BAD_SOURCE_MAC,
    FrameRefusal.TAGGED: Reason.VLAN_TAG,
    FrameRefusal.ADMIN_DOWN: Reason.ADMIN_DOWN,
    FrameRefusal.ETHERTYPE: Reason.ETHERTYPE,
    FrameRefusal.UNREADABLE: Reason.UNREADABLE,
    FrameRefusal.ARP_SPOOF: Reason.ARP_SPOOF,
    FrameRefusal.SPOOFED_SOURCE: Reason.IP_SPOOF,
    FrameRefusal.ND_SPOOF: Reason.ND_SPOOF,
    FrameRefusal.OFF_LINK: Reason.OFF_LINK,
    FrameRefusal.FOREIGN_ADDRESS: Reason.FOREIGN_ADDRESS,
    FrameRefusal.NOT_UNICAST: Reason.BUM,
    FrameRefusal.RECEIVER: Reason.NOT_TRACKED,
}
_PORT_FIELDS = {6: "tcp", 17: "udp", 132: "sctp"}
_ICMP_FIELDS = {(4, 1): "icmp", (6, 58): "icmpv6"}
_TABLE = re.compile(r"^( *)(\d+)\. ")
_RULE = re.compile(rf"set_field:(0x[0-9a-f]+|\d+)->{r.VERDICT.name}\b")
_DROPPED = re.compile(rf"^ *{p.DROP.id}\. {r.REASON.name}=(0x[0-9a-f]+)")
_ACTIONS = re.compile(r"^Datapath actions: (.*)$", re.MULTILINE)
_NESTED = re.compile(r"\w+\([^()]*(?:\([^()]*\)[^()]*)*\)")
_COOKIE = re.compile(r", cookie 0x[0-9a-f]+")
_ECN_BITS = 2
"""The bits below the DSCP in an IP header (RFC 3168 section 5)."""
_NOISE = ("Flow:", "Final flow:", "Megaflow:", "bridge(", "---", "===", "thaw", "recirc(", "Resuming")
_SIDES = {p.SOURCE_CHECK.id: 0, p.SOURCE_STATELESS.id: 0, p.DEST_CHECK.id: 1, p.DEST_STATELESS.id: 1}


@dataclass(frozen=True)
class Path:
    """What the switch does with a packet. Rules are numbers; 0 where no rule was looked up or found."""

    lines: tuple[str, ...]
    outputs: frozenset[str]
    reason: Reason | None
    sender_rule: int
    receiver_rule: int


def read_path(text: str, names: FlowNames) -> Path:
    """Parse the output of `ofproto/trace`. Raises Unexplained when the trace ended in an error."""
    if "Translation failed" in text:
        raise Unexplained("the switch gave up on the packet: " + text.strip().splitlines()[-1])
    words = _NESTED.sub("", ",".join(_ACTIONS.findall(text))).split(",")
    outputs = frozenset(names.device(word.strip()) for word in words) - {"", "drop", "pop_vlan"}
    sender, receiver, reason = _walk(text)
    return Path(tuple(_named(text, names)), outputs, reason, sender, receiver)


def _walk(text: str) -> tuple[int, int, Reason | None]:
    found, side, reason = [0, 0], 0, None
    for line in text.splitlines():
        if table := _TABLE.match(line):
            side = _SIDES.get(int(table[2]), side)
            if dropped := _DROPPED.match(line):
                reason = next((each for each in Reason if each == int(dropped[1], 16)), None)
        elif rule := _RULE.search(line):
            found[side] = int(rule[1], 0)
    return found[0], found[1], reason


def _named(text: str, names: FlowNames) -> Iterator[str]:
    for line in text.splitlines():
        if not line.strip() or line.strip().startswith(_NOISE):
            continue
        with_table = _TABLE.sub(lambda found: f"{found[1]}{table_name(int(found[2]))}: ", line)
        yield names.annotate(_COOKIE.sub("", with_table)).rstrip()


class Tracer:
    """Builds traces for one bridge and compares their results with the reference verdict."""

    def __init__(self, text: PolicyText, managed: ManagedBridge) -> None:
        self._text = text
        self._managed = managed
        self._ofports = {port: ofport for ofport, port in managed.bindings.ports.items()}
        self._names = {r.interface.ofport: name for name, r in managed.bindings.of_interface.items()}

    def has(self, port: str | None) -> bool:
        """Whether a policy port is bound to this bridge."""
        return port in self._ofports

    def concerns(self, subject: Packet | Frame) -> bool:
        """Whether the sender or the receiver is bound to this bridge."""
        if isinstance(subject, Frame):
            return self.has(subject.sender)
        return self.has(subject.sender) or self.has(subject.receiver)

    def question(self, subject: Packet | Frame, fields: str | None) -> tuple[str, str]:
        """The arguments of `ofproto/trace`: a flow, and the ct_state that the connection tracker returns.

        `fields` are those of a raw frame, if there is one (`SwitchTools.fields`). Raises Unexplained when the
        packet cannot enter this bridge.
        """
        if isinstance(subject, Frame):
            assert fields is not None, "a frame is traced by the fields of its bytes"
            return f"in_port={self._ofports[subject.sender]},{fields}", _TRACKED[State.NEW]
        if fields is None or not self.has(subject.sender):
            return self.flow(subject), tracked_as(subject)
        flow = f"in_port={self._ofports[subject.sender or '']},{fields}"
        if subject.state in (State.ESTABLISHED, State.REPLY):
            flow = f"{flow},{_joined(_connection(subject.opening))}"
        return flow, tracked_as(subject)

    def flow(self, packet: Packet) -> str:
        """The packet as a flow for `ofproto/trace`. Raises Unexplained when it cannot enter this bridge."""
        network = self._text.networks[packet.network_id]
        terms = {"in_port": str(self._entry(packet, network)), **self._frame(packet), **_header(packet)}
        if not self.has(packet.sender) and network.segmentation_id is not None:
            terms["dl_vlan"] = str(network.segmentation_id)
        if packet.state in (State.ESTABLISHED, State.REPLY):
            terms |= _connection(packet.opening)
        return _joined(terms)

    def disagreement(self, subject: Packet | Frame, path: Path) -> str:
        """How the switch differs from the reference verdict; empty when they agree."""
        if isinstance(subject, Frame):
            return self._frame_disagreement(subject, path)
        return self._any_holder_disagreement(subject, path)

    def _any_holder_disagreement(self, packet: Packet, path: Path) -> str:
        """The port that holds the MAC should get the packet; every candidate port while none is learned."""
        holders = [packet.receiver, *packet.or_receivers]
        differences = [self._packet_disagreement(replace(packet, receiver=each), path) for each in holders]
        if "" in differences or not packet.or_receivers:
            return "" if "" in differences else differences[0]
        all_of_them = self._interfaces(each for each in holders if each is not None)
        expected = all_of_them | self._expected_outside(packet)
        return "" if path.outputs and path.outputs <= expected else differences[0]

    def _frame_disagreement(self, frame: Frame, path: Path) -> str:
        verdict = judge_frame(self._text.networks, self._text.ports, frame, self._elsewhere)
        expected = self._interfaces(verdict.ports)
        if verdict.outside:
            network = self._text.ports[frame.sender].network_id
            uplinks = frozenset(self._names[uplink] for uplink in self._uplinks(network))
            learned = not expected and self._is_learned(path.outputs, network)
            expected |= path.outputs if learned else uplinks
        held = path.outputs and not is_group(frame.destination_mac) and path.outputs < expected
        if path.outputs != expected and not held:
            return _differ(expected, path.outputs)
        if verdict.refusal is not None and path.reason is not FRAME_REASONS[verdict.refusal]:
            found = path.reason.explanation if path.reason is not None else "it may pass"
            return f"the policy says: {verdict.refusal.value}; the switch says: {found}"
        return ""

    def _packet_disagreement(self, packet: Packet, path: Path) -> str:
        verdict = judge(replace(self._text, elsewhere=self._elsewhere), self._seen_from_here(packet))
        expected, found = self._expected(packet, verdict), path.outputs
        if verdict.refusal is Refusal.RECEIVER_DOWN:  # the switch treats the receiver as absent
            expected = found - self._interfaces([packet.receiver or ""])
        learned = packet.receiver is None and verdict.allowed and self._is_learned(found, packet.network_id)
        if found != expected and not learned:
            return _differ(expected, found)
        for side, grant, number in (
            ("sender", verdict.sender, path.sender_rule),
            ("receiver", verdict.receiver, path.receiver_rule),
        ):
            if grant is None or grant.exemption not in (None, Exemption.EGRESS_OPEN):
                allowed = {0}
            elif grant.exemption is Exemption.EGRESS_OPEN:
                allowed = {r.EGRESS_OPEN}
            else:
                allowed = {self._text.rules[rule].number for rule in grant.rules}
            heard_by_many = packet.advertisement and side == "receiver"
            if number not in allowed and verdict.allowed and not heard_by_many:
                return f"at the {side} the switch found rule {number}, the policy {sorted(allowed)}"
        return ""

    def _is_learned(self, outputs: frozenset[str], network: str) -> bool:
        """Whether a frame to a MAC unknown to the policy left by the one device where the MAC was learned."""
        trusted = [port.id for port in self._text.ports.values() if not port.port_security_enabled]
        places = {self._names[uplink] for uplink in self._uplinks(network)}
        places |= self._interfaces(port for port in trusted if self._text.ports[port].network_id == network)
        return len(outputs) == 1 and outputs <= places

    def _entry(self, packet: Packet, network: Network) -> int:
        if packet.sender in self._ofports:
            return self._ofports[packet.sender]
        uplinks = self._uplinks(network.id)
        if not uplinks or not (packet.receiver is None or self.has(packet.receiver)):
            bridge = self._managed.bridge.name
            raise Unexplained(f"the packet does not pass bridge {bridge}: neither end is bound there")
        return uplinks[0]

    def _uplinks(self, network: str) -> list[int]:
        return sorted(
            ofport for ofport, carried in self._managed.bindings.uplinks.items() if network in carried
        )

    def _frame(self, packet: Packet) -> dict[str, str]:
        sender = self._text.ports[packet.sender].mac if packet.sender else _OUTSIDE_MAC
        receiver = self._text.ports[packet.receiver].mac if packet.receiver else _OUTSIDE_MAC
        if packet.to_group:
            receiver = group_mac(packet.header.destination)
        return {"dl_src": packet.source_mac or sender, "dl_dst": receiver}

    @property
    def _elsewhere(self) -> frozenset[str]:
        """The ports that are bound elsewhere: for this bridge they are behind the uplink."""
        return frozenset(port for port in self._text.ports if not self.has(port))

    def _seen_from_here(self, packet: Packet) -> Packet:
        sender = packet.sender if self.has(packet.sender) else None
        receiver = packet.receiver if self.has(packet.receiver) else None
        return replace(packet, sender=sender, receiver=receiver)

    def _expected(self, packet: Packet, verdict: Verdict) -> frozenset[str]:
        """The interfaces by which the packet should leave."""
        outside = self._expected_outside(packet)
        if self._is_for_servers(packet, verdict) or (packet.to_group and verdict.allowed):
            return outside | self._interfaces(self._audience(packet))
        if not verdict.allowed:
            return frozenset()
        if packet.receiver is not None and self.has(packet.receiver):
            return self._interfaces([packet.receiver])
        return outside

    def _expected_outside(self, packet: Packet) -> frozenset[str]:
        """The uplinks by which the packet may leave: all but the one by which it entered."""
        entered = set() if self.has(packet.sender) else {self._uplinks(packet.network_id)[0]}
        return frozenset(self._names[uplink] for uplink in set(self._uplinks(packet.network_id)) - entered)

    def _is_for_servers(self, packet: Packet, verdict: Verdict) -> bool:
        """Whether the packet is a request to the network's own servers, such as DHCP servers."""
        if verdict.refusal is Refusal.FOR_SERVERS:
            return True
        exempt = verdict.sender is not None and verdict.sender.exemption is Exemption.CONTROL
        return exempt and packet.sender is not None and self._text.ports[packet.sender].port_security_enabled

    def _audience(self, packet: Packet) -> Iterator[str]:
        """The ports that receive a packet to a group: those without port security, and those it concerns."""
        sender = self._text.ports.get(packet.sender or "")
        trusted = sender is not None and not sender.port_security_enabled
        for port in self._text.ports.values():
            if port.network_id != packet.network_id or not port.admin_state_up or port.id == packet.sender:
                continue
            concerned = trusted and is_told_to_all(packet.header)
            if packet.advertisement:
                concerned = judge(self._text, replace(packet, receiver=port.id)).allowed
            if concerned or not port.port_security_enabled:
                yield port.id

    def _interfaces(self, ports: Iterable[str]) -> frozenset[str]:
        return frozenset(self._names[self._ofports[port]] for port in ports if self.has(port))


def is_told_to_all(header: Conversation) -> bool:
    """Whether a trusted sender's packet is for every port: DHCP offers, router advertisements, queries."""
    source, _, protocol, first, second, _ = header
    if source.version == 4:
        return (protocol, first, second) == (UDP, 67, 68)
    return protocol == ICMPV6 and first in (130, 134)


def tracked_as(packet: Packet) -> str:
    """The ct_state that the tracker returns for the packet; an ICMP error about another packet is related."""
    return _RELATED[packet.state] if packet.related else _TRACKED[packet.state]


def _joined(terms: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in terms.items())


def _differ(expected: frozenset[str], found: frozenset[str]) -> str:
    return f"the policy says: {_leaves(expected)}; the switch does: {_leaves(found)}"


def _leaves(interfaces: frozenset[str]) -> str:
    return f"leaves by {', '.join(sorted(interfaces))}" if interfaces else "goes nowhere"


def _header(packet: Packet) -> dict[str, str]:
    source, destination, protocol, first, second, dscp = packet.header
    kind = "nw" if source.version == 4 else "ipv6"
    terms = {
        "dl_type": "0x0800" if source.version == 4 else "0x86dd",
        "nw_proto": str(protocol),
        "nw_ttl": str(packet.hops),
        "nw_tos": str((dscp or 0) << _ECN_BITS),
    }
    terms |= {f"{kind}_src": str(source), f"{kind}_dst": str(destination)}
    if packet.later_fragment:
        return terms | {"nw_frag": "later", "nw_proto": str(packet.shown.protocol)}
    if name := _ICMP_FIELDS.get((source.version, protocol)):
        return terms | {f"{name}_type": str(first), f"{name}_code": str(second)}
    if name := _PORT_FIELDS.get(protocol):
        return terms | {f"{name}_src": str(first), f"{name}_dst": str(second)}
    return terms


def _connection(opening: Conversation) -> dict[str, str]:
    """The original tuple that the connection tracker adds; `ofproto/trace` wants a ct_state with it."""
    kind = "nw" if opening.source.version == 4 else "ipv6"
    recorded = 0 if opening.ip_dscp is None else r.DSCP_KNOWN >> r.DSCP_BIT | opening.ip_dscp
    return {
        "ct_state": "est",
        "ct_label": f"{recorded << DSCP_OF_OPENER:#x}",
        f"ct_{kind}_src": str(opening.source),
        f"ct_{kind}_dst": str(opening.destination),
        "ct_nw_proto": str(opening.protocol),
        "ct_tp_src": str(max(opening.first, 0)),
        "ct_tp_dst": str(max(opening.second, 0)),
    }
