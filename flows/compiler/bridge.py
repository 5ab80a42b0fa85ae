"""The compiler of one bridge: turns policy and local ports into flow differences.

The flow table is a pure function of (policy, bound ports, uplinks, zones). An edit recompiles only the
objects that it touches: every part of the compiler keeps its flows in a claim table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, product
from typing import TypeVar

from flows.compiler.attachment import Attachment, may_be_off_subnet
from flows.compiler.bitwise_checks import bitwise_flows
from flows.compiler.claims import ClaimTable, Owner
from flows.compiler.fragment_budget import ruleless_flows
from flows.compiler.identities import LocalSet, local_number
from flows.compiler.named_protocols import protocol_flows
from flows.compiler.nd_targets import target_flows
from flows.compiler.port_flows import CHUNK, broadcast_chunk, broadcast_root, port_flows
from flows.compiler.routed import router_flows
from flows.compiler.rules import RuleBook
from flows.compiler.services import IPV4_TERM, IPV6_TERM
from flows.compiler.static import static_flows
from flows.compiler.uplinks import Segment, Uplink, segment_flows, uplink_flows
from flows.compiler.zone_ports import ZonePorts
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import SetField
from flows.openflow.flow import Flow, FlowDiff, FlowKey
from flows.openflow.numbers import Priority
from flows.openflow.registers import EGRESS_OPEN
from flows.policy.index import Claim, Policy, Selector, Touched
from flows.policy.objects import EgressDefault, Port

Key = TypeVar("Key")

PORTS_AT_A_TIME = 12
"""Ports in one part of a large change: some 2 ms of work, and fewer flows than are sent at once."""


@dataclass(frozen=True)
class LocalState:
    """What is attached to a bridge: policy ports and uplinks by OpenFlow port, zones by network.

    `ports` maps an OpenFlow port to a policy port id, `uplinks` to the ids of the networks that the uplink
    carries. A bond is listed under its first member. `special_uplinks` has the uplinks that are bonds or that
    send probes. Every network of a bound port or an uplink needs a zone (1–65534).
    """

    ports: Mapping[int, str] = field(default_factory=dict)
    uplinks: Mapping[int, frozenset[str]] = field(default_factory=dict)
    zones: Mapping[str, int] = field(default_factory=dict)
    special_uplinks: Mapping[int, Uplink] = field(default_factory=dict)

    def uplink(self, ofport: int) -> Uplink:
        """The uplink that `uplinks` lists under this OpenFlow port."""
        return self.special_uplinks.get(ofport) or Uplink((ofport,))


class BridgeCompiler:
    """Keeps the flows of one bridge up to date with the policy and with the bound ports and uplinks."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._claims = ClaimTable()
        self._local = LocalState()
        self._attached: dict[int, Attachment] = {}
        self._ofport_of: dict[str, int] = {}
        self._carried: frozenset[str] = frozenset()
        self._identities: dict[int, LocalSet] = {}
        self._ports_of_identity: Counter[int] = Counter()
        self._zone_ports = ZonePorts()
        self._trusted: Counter[str] = Counter()
        self._off_subnet: Counter[str] = Counter()
        self._users: dict[tuple[str, Claim], tuple[int, int]] = {}
        self._stale_ports: dict[int, None] = {}
        self._stale_segments: dict[str, None] = {}
        self._stale_scopes: dict[str, None] = {}
        self._stale_chunks: dict[tuple[int, int], None] = {}
        self._rules = RuleBook(policy, self._claims, self._zone_ports.zones_of_scope)
        self._claims.assign(("static", 0), base_flows())

    @property
    def flows(self) -> Mapping[FlowKey, Flow]:
        """The flows that the switch should hold, as of the last `flush`."""
        return self._claims.flows

    @property
    def attached(self) -> Iterable[Attachment]:
        """The bound ports."""
        return self._attached.values()

    @property
    def zones(self) -> Mapping[str, int]:
        """The conntrack zones in use, by network id."""
        return self._local.zones

    @property
    def identities(self) -> Mapping[int, LocalSet]:
        """The local set of each identity of the bound ports, without the unrestricted one."""
        return self._identities

    @property
    def left_out(self) -> Collection[FlowKey]:
        """Keys with more claims than one flow can hold. `flows` does not contain them."""
        return self._claims.left_out

    def remote_identities(self) -> dict[int, frozenset[Selector]]:
        """The selector sets of remote addresses in all tables, by identity. Equal sets have equal numbers."""
        return self._rules.remote_identities()

    def owners(self, key: FlowKey) -> list[Owner]:
        """The owners that claim a flow."""
        return self._claims.owners(key)

    def set_local(self, state: LocalState, moved: Iterable[int] | None = None) -> None:
        """Apply what is now attached to the bridge.

        `moved` are the OpenFlow ports whose policy port may have changed since the last call. Without
        `moved`, all ports are compared.
        """
        before, self._local = self._local, state
        self._users.clear()
        if moved is None or not before.ports:
            moved = _differing(before.ports, state.ports)
        self._note_ofports(moved, before.ports)
        self._carried = frozenset().union(*state.uplinks.values())
        networks = _differing(before.zones, state.zones)
        for uplink in _differing(before.uplinks, state.uplinks) | _differing(
            before.special_uplinks, state.special_uplinks
        ):
            networks |= before.uplinks.get(uplink, frozenset()) | state.uplinks.get(uplink, frozenset())
            present = uplink in state.uplinks
            self._claims.assign(("uplink", uplink), uplink_flows(state.uplink(uplink)) if present else ())
        for network in networks:
            self._refresh_segment(network)
        self._stale_ports.update(dict.fromkeys(moved))
        self._stale_ports.update(dict.fromkeys(self._sharing_with(moved, before.ports)))
        for ofport, port_id in state.ports.items() if networks else ():
            port = self._policy.ports.get(port_id)
            if port is not None and port.network_id in networks:
                self._stale_ports[ofport] = None
        self._stale_scopes.update(dict.fromkeys(networks))

    def update(self, touched: Touched) -> None:
        """Apply what a change of the policy touched.

        Remotes and rules come first. A rule that is deactivated removes only the present members of its
        remote, so members that left in the same change must be removed before.
        """
        self._rules.update(touched)
        self._users.clear()
        for network in touched.networks:
            self._refresh_segment(network)
            self._refresh_scope(network)
        for port in touched.ports & self._ofport_of.keys():
            self._refresh_port(self._ofport_of[port])
        for group in touched.kinds_of_rules:
            for identity in self._rules.identities_of(group):
                self._refresh_identity(identity)

    def parts(self) -> Iterator[FlowDiff]:
        """The first parts of a large change, `PORTS_AT_A_TIME` ports each; `flush` returns the rest.

        A part can be sent while the next one is compiled. Only all parts together are consistent.
        """
        while len(self._stale_ports) > PORTS_AT_A_TIME:
            self._refresh_ports(PORTS_AT_A_TIME)
            yield self._claims.flush()

    def flush(self) -> FlowDiff:
        """The flows to add and remove since the last call or part."""
        self._refresh_ports(len(self._stale_ports))
        for network in self._stale_segments:
            self._refresh_segment(network)
        self._stale_segments.clear()
        for network in self._stale_scopes:
            self._refresh_scope(network)
        self._stale_scopes.clear()
        for zone, chunk in self._stale_chunks:
            self._refresh_broadcast(zone, chunk)
        self._stale_chunks.clear()
        return self._claims.flush()

    def _note_ofports(self, moved: Iterable[int], before: Mapping[int, str]) -> None:
        for ofport in moved:
            self._ofport_of.pop(before.get(ofport, ""), None)
        for ofport in moved:
            if ofport in self._local.ports:
                self._ofport_of[self._local.ports[ofport]] = ofport

    def _sharing_with(self, moved: Iterable[int], before: Mapping[int, str]) -> Iterator[int]:
        """OpenFlow ports on this bridge that may use a MAC or address of a port that came or went."""
        ids = {side.get(ofport, "") for side, ofport in product((before, self._local.ports), moved)}
        ports = (self._policy.ports[each] for each in ids if each in self._policy.ports)
        for network, claim in {
            (port.network_id, each) for port in ports for each in self._policy.shared_claims(port)
        }:
            for user in self._policy.users_of(network, claim):
                if user in self._ofport_of:
                    yield self._ofport_of[user]

    def _refresh_segment(self, network_id: str) -> None:
        network, zone = self._policy.networks.get(network_id), self._local.zones.get(network_id)
        flows: list[Flow] = []
        if network is not None and zone is not None:
            carriers = [o for o, carried in self._local.uplinks.items() if network_id in carried]
            uplinks = tuple(map(self._local.uplink, sorted(carriers)))
            marks = self._trusted[network_id] > 0, self._off_subnet[network_id] > 0
            flows = segment_flows(Segment(network, zone, uplinks, *marks))
        self._claims.assign(("segment", network_id), flows)

    def _refresh_ports(self, count: int) -> None:
        for ofport in list(islice(self._stale_ports, count)):
            del self._stale_ports[ofport]
            self._refresh_port(ofport)

    def _refresh_port(self, ofport: int) -> None:
        current, wanted = self._attached.get(ofport), self._attachment(ofport)
        if current == wanted:
            return
        if wanted is not None:
            self._attached[ofport] = wanted
            self._retain(wanted)
        else:
            del self._attached[ofport]
        if current is not None:
            self._let_go(current)
        self._move(current, wanted)
        self._claims.assign(("port", ofport), port_flows(wanted) if wanted else ())

    def _attachment(self, ofport: int) -> Attachment | None:
        port = self._policy.ports.get(self._local.ports.get(ofport, ""))
        zone = self._local.zones.get(port.network_id) if port else None
        if port is None or zone is None:
            return None
        local_set = self._local_set(port)
        uplinked = port.network_id in self._carried
        network = self._policy.networks.get(port.network_id)
        subnets = network.subnets if network is not None else ()
        subnets6 = any(subnet.version == 6 for subnet in subnets)
        subnets4 = tuple(subnet for subnet in subnets if subnet.version == 4)
        identity, stateless, claims = local_number(local_set), local_set.stateless, self._shared_claims(port)
        known = uplinked, subnets6, subnets4
        return Attachment(
            ofport, port, zone, identity, stateless, *known, *claims, may_be_off_subnet(port, subnets)
        )

    def _shared_claims(self, port: Port) -> tuple[frozenset[Claim], frozenset[Claim]]:
        """`shared` and `elsewhere` of an `Attachment`. Only other ports that are up count."""
        shared: set[Claim] = set()
        elsewhere: set[Claim] = set()
        for claim in self._policy.shared_claims(port):
            here, away = self._count_users(port.network_id, claim)
            if here + away > port.admin_state_up:
                shared.add(claim)
            if away:
                elsewhere.add(claim)
        return frozenset(shared), frozenset(elsewhere)

    def _count_users(self, network_id: str, claim: Claim) -> tuple[int, int]:
        """How many ports that are up may use a MAC or an address: on this bridge, and not on it."""
        found = self._users.get((network_id, claim))
        if found is None:
            users = self._policy.users_of(network_id, claim)
            up = [each for each in users if self._policy.ports[each].admin_state_up]
            here = sum(each in self._ofport_of for each in up)
            found = self._users[network_id, claim] = here, len(up) - here
        return found

    def _local_set(self, port: Port) -> LocalSet:
        network = self._policy.networks.get(port.network_id)
        egress_default = network.egress_default if network else EgressDefault.DENY
        if not port.port_security_enabled:
            return LocalSet(frozenset(), unrestricted=True)
        groups = self._policy.effective_groups(port)
        return LocalSet(groups, egress_default, stateless=self._policy.any_stateless(groups))

    def _retain(self, at: Attachment) -> None:
        """Count a port that uses its identity. The first one adds the identity to the rules."""
        local_set = self._local_set(at.port)
        self._ports_of_identity[at.identity] += 1
        if self._ports_of_identity[at.identity] == 1 and not local_set.unrestricted:
            self._identities[at.identity] = local_set
            self._rules.add_identity(at.identity, local_set.groups)
            self._refresh_identity(at.identity)

    def _let_go(self, at: Attachment) -> None:
        self._ports_of_identity[at.identity] -= 1
        if not self._ports_of_identity[at.identity]:
            del self._ports_of_identity[at.identity]
            local_set = self._identities.pop(at.identity, None)
            if local_set is not None:
                self._rules.remove_identity(at.identity, local_set.groups)
                self._refresh_identity(at.identity)

    def _move(self, current: Attachment | None, wanted: Attachment | None) -> None:
        """Update broadcasts and remote groups in the zones that a port, while it is up, enters or leaves."""
        old, new = (at if at is not None and at.port.admin_state_up else None for at in (current, wanted))
        self._count_trusted(old, -1)
        self._count_trusted(new, 1)
        if old is not None and new is not None and old.zone == new.zone:
            return
        if new is not None:
            if self._zone_ports.enter(new):
                self._refresh_scope(new.port.network_id)
            self._stale_chunks[new.zone, new.ofport // CHUNK] = None
        if old is not None:
            if self._zone_ports.leave(old):
                self._rules.refresh_zone(old.zone, None)
            self._stale_chunks[old.zone, old.ofport // CHUNK] = None

    def _count_trusted(self, at: Attachment | None, step: int) -> None:
        """Count the ports on which a network's flows depend: without port security, or off its subnets."""
        if at is not None and not at.port.port_security_enabled:
            self._trusted[at.port.network_id] += step
            self._stale_segments[at.port.network_id] = None
        if at is not None and at.off_subnet:
            self._off_subnet[at.port.network_id] += step
            self._stale_segments[at.port.network_id] = None

    def _refresh_scope(self, network_id: str) -> None:
        zone = self._local.zones.get(network_id)
        if zone is not None and self._zone_ports.rescope(zone, self._policy.scope_of(network_id)):
            self._rules.refresh_zone(zone, self._policy.scope_of(network_id))

    def _refresh_identity(self, identity: int) -> None:
        """Update the flows that depend on whether the groups of an identity have any rules of a kind."""
        local_set, has_rules_for = self._identities.get(identity), self._policy.has_rules_for
        opened: list[Flow] = []
        ruleless: list[int] = []
        if local_set is not None and self._is_open(local_set):
            opened = egress_open_flows(identity)
        elif local_set is not None:
            ruleless = [version for version in (4, 6) if not has_rules_for(local_set.groups, version)]
        self._claims.assign(("egress-open", identity), opened)
        self._claims.assign(("ruleless", identity), ruleless_flows(identity, ruleless))

    def _is_open(self, local_set: LocalSet) -> bool:
        """Whether egress is open because no group has an egress rule yet."""
        until_rule = local_set.egress_default is EgressDefault.OPEN_UNTIL_RULE
        return until_rule and not self._policy.has_egress_rules(local_set.groups)

    def _refresh_broadcast(self, zone: int, chunk: int) -> None:
        """Update a chunk once for all its ports that came or went. The list of chunks may change with it."""
        members, chunks = self._zone_ports.members(zone, chunk), self._zone_ports.chunks(zone)
        self._claims.assign(
            ("broadcast", zone, chunk), [broadcast_chunk(zone, chunk, members)] if members else ()
        )
        self._claims.assign(("broadcast", zone), [broadcast_root(zone, chunks)] if chunks else ())


@cache
def base_flows() -> tuple[Flow, ...]:
    """The flows that every bridge has, whatever the policy. All bridges share them."""
    return (*static_flows(), *bitwise_flows(), *target_flows(), *protocol_flows(), *router_flows())


def egress_open_flows(identity: int) -> list[Flow]:
    """Allow all egress traffic, while no group of the identity has an egress rule."""
    accept = (SetField(r.VERDICT, EGRESS_OPEN),)
    return [
        Flow(p.EGRESS_ANY, Priority.UNCONDITIONAL, (family, r.LOCAL(identity)), accept)
        for family in (IPV4_TERM, IPV6_TERM)
    ]


def compile_bridge(policy: Policy, state: LocalState) -> Mapping[FlowKey, Flow]:
    """All flows of a bridge, compiled from scratch."""
    compiler = BridgeCompiler(policy)
    compiler.set_local(state)
    compiler.flush()
    return compiler.flows


def _differing(before: Mapping[Key, object], after: Mapping[Key, object]) -> set[Key]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
