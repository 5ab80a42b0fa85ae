"""Break the compiler on purpose, one way at a time: the fast part of the tests must catch every mutant.

Each mutant is a copy of the repository in a temporary directory with one piece of text replaced.
Usage: mutants.py [WORD…], where only mutants whose description holds one of the words are tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("flows", "lab", "sgctl", "tests", "pyproject.toml")
TESTS = (
    "tests/unit/test_compiler_services.py",
    "tests/unit/test_openflow_pipeline.py",
    "tests/unit/test_compiler_exempt.py",
    "tests/unit/test_compiler_fragment_budget.py",
    "tests/unit/test_openflow_message_signature.py",
    "tests/ovs",
    "tests/unit/test_compiler_paths.py",
)
AT_ONCE = 2
SECONDS = 300


class Mutant(NamedTuple):
    """In `flows/<module>.py`, `old` becomes `new`, and so the compiler does `wrong`."""

    wrong: str
    module: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "rules stand in the tables of the other direction",
        "compiler/rules",
        "tables = EGRESS_TABLES if rule.direction is Direction.EGRESS else INGRESS_TABLES\n        selector",
        "tables = INGRESS_TABLES if rule.direction is Direction.EGRESS else EGRESS_TABLES\n        selector",
    ),
    Mutant(
        "the remote of a rule is no condition",
        "compiler/rules",
        "1 + has_service(rule) + (selector != ANY)",
        "1 + has_service(rule)",
    ),
    Mutant(
        "the service of a rule has no clause",
        "compiler/rules",
        "if self.rule.protocol is not None:",
        "if False:",
    ),
    Mutant(
        "rules keep a local identity that nobody has any more",
        "compiler/rules",
        "self._claims.withdraw(conjunction.owner, conjunction.key((r.LOCAL(number),)))",
        "conjunction.key((r.LOCAL(number),))",
    ),
    Mutant(
        "addresses of a remote stay after its last rule",
        "compiler/rules",
        "self._watch_selector(state, conjunction.selector, present=False)",
        "state.by_selector[conjunction.selector]",
    ),
    Mutant("port ranges end too late", "compiler/services", "size > high - low + 1", "size > high - low + 2"),
    Mutant(
        "known connections are judged by their source port",
        "compiler/services",
        "else [(tracked, f.CT_TP_DST)]),",
        "else [(tracked, f.CT_TP_SRC)]),",
    ),
    Mutant(
        "a port rule admits every packet of a known connection",
        "compiler/services",
        "yield (*tracked, _LATER)",
        "yield tracked",
    ),
    Mutant(
        "later fragments fail", "compiler/services", "yield from _later_fragments(header, tracked)", "pass"
    ),
    Mutant(
        "the ICMP code does not matter",
        "compiler/services",
        "for field, value in pairs if value is not None",
        "for field, value in list(pairs)[:1] if value is not None",
    ),
    Mutant("all prefixes are equal", "compiler/remotes", "PREFIX_BASE + prefix.length", "PREFIX_BASE + 0"),
    Mutant(
        "an address does not inherit from wider prefixes",
        "compiler/remotes",
        "if length <= prefix.length:",
        "if length == prefix.length:",
    ),
    Mutant(
        "narrower prefixes do not notice a new wide one",
        "compiler/remotes",
        "for nested in [prefix, *self._nested(prefix)]:",
        "for nested in [prefix]:",
    ),
    Mutant(
        "members of one network are members in all",
        "compiler/remotes",
        "self._flows(address, selectors, r.ZONE(zone))",
        "self._flows(address, selectors)",
    ),
    Mutant(
        "known connections are judged by the header's addresses",
        "compiler/remotes",
        "(BY_CONNECTION, _TRACKED[self._side])",
        "(BY_CONNECTION, _HEADER[self._side])",
    ),
    Mutant(
        "the remote of ingress is the destination",
        "compiler/remotes",
        "(Direction.INGRESS, 4): f.IPV4_SRC",
        "(Direction.INGRESS, 4): f.IPV4_DST",
    ),
    Mutant(
        "replies are judged by the rules of their own direction",
        "compiler/static",
        "(REPLY,), question(identity, reply, verdict)",
        "(REPLY,), question(identity, original, verdict)",
    ),
    Mutant(
        "the sender's rule counts for the receiver, too",
        "compiler/static",
        "SetField(r.VIEW, view), SetField(r.VERDICT, 0))",
        "SetField(r.VIEW, view))",
    ),
    Mutant(
        "the sender's remote counts for the receiver, too",
        "compiler/static",
        "forget = (SetField(r.MEMBER, 0), SetField(r.PREFIX, 0))",
        "forget = ()",
    ),
    Mutant(
        "invalid packets pass",
        "compiler/static",
        "(INVALID,), drop(Reason.INVALID)",
        "(INVALID,), (call(p.FORWARD),)",
    ),
    Mutant(
        "nothing is dropped at the sender",
        "compiler/static",
        "(r.VERDICT(0),), drop(Reason.EGRESS_POLICY)",
        "(r.VERDICT(0),), (call(p.FORWARD),)",
    ),
    Mutant(
        "nothing is dropped at the receiver",
        "compiler/static",
        "(r.VERDICT(0),), drop(Reason.INGRESS_POLICY)",
        "(r.VERDICT(0),), (call(p.OUTPUT),)",
    ),
    Mutant(
        "new connections are judged as known ones",
        "compiler/static",
        "(NEW,), question(identity, original, verdict, r.BY_HEADER)",
        "(NEW,), question(identity, original, verdict)",
    ),
    Mutant(
        "workloads may answer DHCP",
        "compiler/static",
        "yield Flow(p.ADMIT, Priority.HIGH, match, drop(Reason.DHCP_SERVER))",
        "yield Flow(p.ADMIT, Priority.HIGH, match, (call(p.CONNTRACK),))",
    ),
    Mutant(
        "what looks like a DHCP request needs no rule",
        "compiler/link_messages",
        "*DHCP_FROM_CLIENT, LIMITED_BROADCAST)",
        "*DHCP_FROM_CLIENT)",
    ),
    Mutant(
        "all ports hear what is for routers and servers",
        "compiler/static",
        "TELL_OUTSIDE: tuple[Action, ...] = (SetField(r.OUT, 0), call(p.LISTENERS), call(p.EXIT))",
        "TELL_OUTSIDE: tuple[Action, ...] = TELL_ALL",
    ),
    Mutant(
        "an OpenFlow port that cannot be looks like any other",
        "openflow/message_signature",
        "return Output, action.ofport >= FIRST_RESERVED_PORT",
        "return (Output,)",
    ),
    Mutant(
        "workloads may send multicast",
        "compiler/static",
        "yield Flow(table, Priority.LOW, match, drop(Reason.BUM))",
        "yield Flow(table, Priority.LOW, match, (call(p.CONNTRACK),))",
    ),
    Mutant(
        "any hop limit makes a packet a message of the link",
        "compiler/static",
        "yield Flow(p.ADMIT, Priority.HIGH, icmpv6(kind), (*compare_hops(hops), call(p.LINK_MESSAGE)))",
        "yield Flow(p.ADMIT, Priority.HIGH, icmpv6(kind), (call(p.BUDGET), *TELL_OUTSIDE))",
    ),
    Mutant(
        "a protocol that a rule names is unnamed",
        "compiler/named_protocols",
        "if protocol not in _ALWAYS_NAMED[ethertype]:",
        "if False:",
    ),
    Mutant(
        "later fragments of IPv6 are of an unnamed protocol",
        "compiler/named_protocols",
        "frozenset({ICMPV6, TCP, UDP, _FRAGMENT})",
        "frozenset({ICMPV6, TCP, UDP})",
    ),
    Mutant(
        "an unnamed protocol is tracked for a stateless sender",
        "compiler/named_protocols",
        "(r.UNNAMED | r.STATELESS, (STATELESS,))",
        "(r.UNNAMED, (STATELESS,))",
    ),
    Mutant(
        "no rule allows an unnamed protocol",
        "compiler/static",
        "yield Flow(tables.any, Priority.UNNAMED, (UNNAMED,), (*forget, *calls))",
        "yield Flow(tables.any, Priority.UNNAMED, (UNNAMED,), (SetField(r.VERDICT, 0),))",
    ),
    Mutant(
        "hop limits are as wanted when their last bit is",
        "compiler/static",
        "equal = r.MEMBER((wanted >> bit & 1) << _READ_BIT | wanted << 8 | bit)",
        "equal = r.MEMBER((wanted >> (bit if bit else 1) & 1) << _READ_BIT | wanted << 8 | bit)",
    ),
    Mutant(
        "virtual routers are heard with any hop limit",
        "compiler/static",
        "yield Flow(p.VRRP, Priority.NORMAL, (AS_WANTED, *match), (call(p.SOURCE_STATELESS),))",
        "yield Flow(p.VRRP, Priority.NORMAL, match[:-1], (call(p.SOURCE_STATELESS),))",
    ),
    Mutant(
        "some addresses of a subnet are asked for in vain",
        "compiler/bitwise_checks",
        "for length in range(start, last, BITS_AT_ONCE):",
        "for length in range(start, last, 2 * BITS_AT_ONCE):",
    ),
    Mutant(
        "a range within a subnet is asked for in vain",
        "compiler/bitwise_checks",
        "        if subnet.covers(prefix):\n            yield from _path",
        "        if subnet.covers(prefix) and prefix.is_host:\n            yield from _path",
    ),
    Mutant(
        "frames of a port with several MACs are compared with the first only",
        "compiler/bitwise_checks",
        "yield from _next_flows(in_port, r.LOCAL, macs, tables, any_mac)",
        "yield from ()",
    ),
    Mutant(
        "a port with many MACs may use none but the first",
        "compiler/bitwise_checks",
        "(SetField(r.LOCAL, _ANY), call(p.SENDER))",
        "(call(p.SENDER),)",
    ),
    Mutant(
        "the mask of an own address does not count",
        "compiler/bitwise_checks",
        "held = r.PREFIX(own << 32 | one, one << 32 | one)",
        "held = r.PREFIX(own << 32, one << 32)",
    ),
    Mutant(
        "an address that a port has outside of all subnets is found by nobody",
        "compiler/uplinks",
        "if not segment.has_off_subnet_ports:",
        "if True:",
    ),
    Mutant(
        "answers by ARP for a foreign address are delivered",
        "compiler/bitwise_checks",
        "yield Flow(p.RECEIVER, Priority.HIGH + 50, foreign, drop(Reason.FOREIGN_ADDRESS))",
        "yield Flow(p.RECEIVER, Priority.HIGH + 50, foreign, (call(p.OUTPUT),))",
    ),
    Mutant(
        "another link address is taken for none",
        "compiler/bitwise_checks",
        "yield Flow(p.NO_LINK, Priority.NORMAL + bit, said, drop(Reason.ND_SPOOF))",
        "pass",
    ),
    Mutant(
        "connections are never remembered",
        "compiler/static",
        "whole, (COMMIT, OutputRegister(r.OUT))",
        "whole, (OutputRegister(r.OUT),)",
    ),
    Mutant(
        "fragments that the tracker gives up follow the packet that is committed",
        "compiler/static",
        "COMMIT: Action = Clone((Conntrack(r.ZONE, commit=True),))",
        "COMMIT: Action = Conntrack(r.ZONE, commit=True)",
    ),
    Mutant(
        "fragments that the tracker gives up leave behind the packet that is committed",
        "compiler/uplinks",
        "(COMMIT, unknown, *FIND_UPLINK)",
        "(*COMMIT.actions, unknown, *FIND_UPLINK)",
    ),
    Mutant(
        "fragments that the tracker gives up follow the packet that is looked up",
        "compiler/static",
        "yield Flow(after, Priority.DEFAULT, (TRACKED, family), (DISCARD",
        "yield Flow(after, Priority.DEFAULT, (family,), (DISCARD",
    ),
    Mutant(
        "the rest of a large packet follows the next one",
        "compiler/static",
        "(DISCARD_LEFT_OVER, call(check))",
        "(call(check),)",
    ),
    Mutant(
        "IPv4 from any MAC",
        "compiler/port_flows",
        "ip = (*source, IPV4_TERM, *prefix_term(f.IPV4_SRC, prefix))",
        "ip = (in_port, IPV4_TERM, *prefix_term(f.IPV4_SRC, prefix))",
    ),
    Mutant(
        "IPv6 from any address",
        "compiler/port_flows",
        "ip = (*source, IPV6_TERM, *prefix_term(f.IPV6_SRC, prefix))",
        "ip = (*source, IPV6_TERM)",
    ),
    Mutant(
        "ARP with any hardware address",
        "compiler/port_flows",
        "*prefix_term(f.ARP_SPA, prefix), f.ARP_SHA(mac))",
        "*prefix_term(f.ARP_SPA, prefix))",
    ),
    Mutant(
        "no check of sources",
        "compiler/port_flows",
        "start = p.SPOOF if at.port.port_security_enabled else p.ADMIT",
        "start = p.ADMIT",
    ),
    Mutant(
        "ranges of addresses are not found",
        "compiler/port_flows",
        "        yield request_flow(at, prefix)",
        "        if prefix.is_host:\n            yield request_flow(at, prefix)",
    ),
    Mutant(
        "a range of addresses hides the outside",
        "compiler/holders",
        "(zone, GROUP_MAC, *match), (out, *TELL_OUTSIDE))",
        "(zone, GROUP_MAC, *match), (out,))",
    ),
    Mutant(
        "a wide range of addresses is asked before a narrow one",
        "compiler/holders",
        "priority = PREFIX_BASE + prefix.length",
        "priority = PREFIX_BASE - prefix.length if prefix.length < 32 else PREFIX_BASE + prefix.length",
    ),
    Mutant(
        "requests to one MAC go to who holds a range of addresses",
        "compiler/holders",
        "(zone, GROUP_MAC, *match), (out, *TELL_OUTSIDE))",
        "(zone, *match), (out, *TELL_OUTSIDE))",
    ),
    Mutant(
        "announcements by ARP reply reach nobody here",
        "compiler/static",
        "for announcement in (READABLE_ARP[1], ADVERTISEMENT_TO_ALL):",
        "for announcement in (ADVERTISEMENT_TO_ALL,):",
    ),
    Mutant(
        "nobody is reached behind a port without port security",
        "compiler/port_flows",
        "known.append(learn(at.zone, at.ofport))",
        "pass",
    ),
    Mutant(
        "who moves away from behind a port without port security is not reached",
        "compiler/uplinks",
        "several = segment.trusted or len(segment.uplinks) > 1",
        "several = len(segment.uplinks) > 1",
    ),
    Mutant(
        "any host outside brings back what a local port sent",
        "compiler/routed",
        "match = (f.ETH_SRC(both, mask), r.LOCAL(both, mask))",
        "match = (f.ETH_SRC(both, mask),)",
    ),
    Mutant(
        "the router of replies is not told from that of questions",
        "compiler/routed",
        "noted = Move(f.CT_LABEL, r.LOCAL, half)",
        "noted = Move(f.CT_LABEL, r.LOCAL, numbers.ROUTER_OF_ORIGINAL)",
    ),
    Mutant(
        "a router brings packets back in a network with one subnet",
        "compiler/routed",
        "if len(subnets) < 2:",
        "if len(subnets) < 1:",
    ),
    Mutant(
        "what a router brings back may go to everybody",
        "compiler/routed",
        "yield Flow(p.RETURNED, Priority.HIGH, (GROUP_MAC,), drop(Reason.UPLINK_SPOOF))",
        "pass",
    ),
    Mutant(
        "what passes through from outside is noted as sent from here",
        "compiler/routed",
        "yield Flow(p.FORWARD, Priority.DEFAULT + 7, (r.SOURCE(0),), (call(p.EXIT),))",
        "pass",
    ),
    Mutant(
        "a neighbour outside counts as a router",
        "compiler/routed",
        "yield Flow(p.FORWARD, Priority.DEFAULT + 6, within, (call(p.EXIT),))",
        "pass",
    ),
    Mutant(
        "routers bring back link-local packets",
        "compiler/holders",
        "if LINK_LOCAL.covers(address):  # which",
        "if False:  # which",
    ),
    Mutant(
        "the outside may use local addresses",
        "compiler/holders",
        "for claim in _claims(at):",
        "for claim in list(_claims(at))[:1]:",
    ),
    Mutant("ports that are down work", "compiler/port_flows", "if not at.port.admin_state_up:", "if False:"),
    Mutant(
        "egress is open in every network",
        "compiler/bridge",
        "until_rule = local_set.egress_default is EgressDefault.OPEN_UNTIL_RULE",
        "until_rule = True",
    ),
    Mutant(
        "egress stays open after the first egress rule",
        "compiler/bridge",
        "and not self._policy.has_egress_rules(local_set.groups)",
        "and self._policy is not None",
    ),
    Mutant(
        "wide address pairs make members",
        "policy/index",
        "for pair in port.allowed_address_pairs if pair.prefix.is_host)",
        "for pair in port.allowed_address_pairs)",
    ),
    Mutant(
        "ports that are bound nowhere are members everywhere",
        "policy/index",
        "return network is None or not network.bound_members_only or port.id in self.bound",
        "return True",
    ),
    Mutant(
        "members do not come and go with their bindings",
        "policy/index",
        "(self.bound.add if bound else self.bound.discard)(port)\n            self._recount(port, touched)",
        "(self.bound.add if bound else self.bound.discard)(port)",
    ),
    Mutant(
        "the default group applies to nobody",
        "policy/index",
        "return frozenset([default]) if default else frozenset()",
        "return frozenset()",
    ),
    Mutant(
        "one rule's clause replaces another's on the same match",
        "compiler/claims",
        "if isinstance(in_order[0][0], Conjunction):",
        "if False:",
    ),
    Mutant(
        "identities forget what may leave by default",
        "compiler/identities",
        'content_number([*local.groups, f"egress={local.egress_default}"])',
        "content_number(local.groups)",
    ),
    Mutant(
        "off the link: neighbours are asked and answer through routers",
        "compiler/link_messages",
        "map(_of_client, (NEIGHBOUR_SOLICITATION",
        "map(icmpv6, (NEIGHBOUR_SOLICITATION",
    ),
    Mutant(
        "off the link: router advertisements are routed",
        "compiler/link_messages",
        "(*icmpv6(ROUTER_ADVERTISEMENT), _NOT_ROUTED, FROM_LINK)",
        "(*icmpv6(ROUTER_ADVERTISEMENT), FROM_LINK)",
    ),
    Mutant(
        "off the link: anybody advertises routers",
        "compiler/link_messages",
        "(*icmpv6(ROUTER_ADVERTISEMENT), _NOT_ROUTED, FROM_LINK)",
        "(*icmpv6(ROUTER_ADVERTISEMENT), _NOT_ROUTED)",
    ),
    Mutant(
        "off the link: redirects are routed",
        "compiler/link_messages",
        "(*icmpv6(REDIRECT), _NOT_ROUTED, FROM_LINK)",
        "(*icmpv6(REDIRECT), FROM_LINK)",
    ),
    Mutant(
        "off the link: anybody redirects",
        "compiler/link_messages",
        "(*icmpv6(REDIRECT), _NOT_ROUTED, FROM_LINK)",
        "(*icmpv6(REDIRECT), _NOT_ROUTED)",
    ),
    Mutant(
        "off the link: listener queries from anywhere",
        "compiler/link_messages",
        "_NOT_FORWARDED, FROM_LINK, MULTICAST6)",
        "_NOT_FORWARDED, MULTICAST6)",
    ),
    Mutant(
        "off the link: listener queries with any hop limit",
        "compiler/link_messages",
        "_NOT_FORWARDED, FROM_LINK, MULTICAST6)",
        "FROM_LINK, MULTICAST6)",
    ),
    Mutant(
        "off the link: DHCPv6 answers from anywhere",
        "compiler/link_messages",
        "(*DHCPV6_FROM_SERVER, FROM_LINK),",
        "DHCPV6_FROM_SERVER,",
    ),
    Mutant(
        "off the link: DHCP answers from anywhere",
        "compiler/uplinks",
        "*DHCP_FROM_SERVER, *prefix_term(f.IPV4_SRC, subnet))",
        "*DHCP_FROM_SERVER)",
    ),
    Mutant(
        "off the link: DHCP requests to one host's MAC",
        "compiler/link_messages",
        "(GROUP_MAC, *DHCP_FROM_CLIENT, LIMITED_BROADCAST)",
        "(*DHCP_FROM_CLIENT, LIMITED_BROADCAST)",
    ),
    Mutant(
        "off the link: DHCPv6 requests to any group",
        "compiler/link_messages",
        "FROM_LINK, _DHCPV6_SERVERS)",
        "FROM_LINK, MULTICAST6)",
    ),
    Mutant(
        "off the link: DHCPv6 requests from any address",
        "compiler/link_messages",
        "*DHCPV6_FROM_CLIENT, FROM_LINK,",
        "*DHCPV6_FROM_CLIENT,",
    ),
    Mutant(
        "off the link: router solicitations to any group",
        "compiler/link_messages",
        "(GROUP_MAC, *_of_client(ROUTER_SOLICITATION), _ALL_ROUTERS)",
        "(GROUP_MAC, *_of_client(ROUTER_SOLICITATION), MULTICAST6)",
    ),
    Mutant(
        "off the link: router solicitations with any hop limit",
        "compiler/link_messages",
        "*_of_client(ROUTER_SOLICITATION)",
        "*icmpv6(ROUTER_SOLICITATION)",
    ),
    Mutant(
        "off the link: listener reports with any hop limit",
        "compiler/link_messages",
        "*_of_client(MLD_REPORT)",
        "*icmpv6(MLD_REPORT)",
    ),
    Mutant(
        "off the link: new listener reports with any hop limit",
        "compiler/link_messages",
        "*_of_client(MLDV2_REPORT)",
        "*icmpv6(MLDV2_REPORT)",
    ),
    Mutant(
        "off the link: neighbours are wherever somebody says",
        "compiler/static",
        "(IPV6_TERM, TO_LINK)",
        "(IPV6_TERM,)",
    ),
    Mutant(
        "off the link: announcements to any group",
        "compiler/static",
        "(*SOLICITATION, SOLICITED_NODE), ADVERTISEMENT_TO_ALL,",
        "(*SOLICITATION, SOLICITED_NODE), ADVERTISEMENT,",
    ),
    Mutant(
        "off the link: address detection of any group",
        "compiler/port_flows",
        "f.IPV6_SRC(0), SOLICITED_NODE, *target",
        "f.IPV6_SRC(0), *target",
    ),
    Mutant(
        "workloads redirect",
        "compiler/link_messages",
        "map(icmpv6, (ROUTER_ADVERTISEMENT, REDIRECT, MLD_QUERY))",
        "map(icmpv6, (ROUTER_ADVERTISEMENT, MLD_QUERY))",
    ),
    Mutant(
        "messages of the link reach MACs for any address",
        "compiler/static",
        "to_client = (UNTRACKED, r.VIEW(r.OF_LINK), IPV4_TERM, LIMITED_BROADCAST)",
        "to_client = (UNTRACKED, r.VIEW(r.OF_LINK), IPV4_TERM)",
    ),
    Mutant(
        "ARP reaches MACs for any address",
        "compiler/port_flows",
        "ARP_TERM, *prefix_term(f.ARP_TPA, prefix))",
        "ARP_TERM)",
    ),
    Mutant(
        "what is of the link is not known as such",
        "compiler/static",
        "return (SetField(r.VIEW, r.OF_LINK), call(table))",
        "return (call(table),)",
    ),
    Mutant(
        "a stand-by keeps what is for a holder on another bridge",
        "compiler/bridge",
        "            if away:",
        "            if False:",
    ),
    Mutant(
        "a port does not notice that another with its address came or went",
        "compiler/bridge",
        "self._stale_ports.update(dict.fromkeys(self._sharing_with(moved, before.ports)))",
        "pass",
    ),
    Mutant(
        "a port does not notice that another got its address",
        "policy/index",
        "touched.ports.update(self.users_of(network, claim))",
        "pass",
    ),
    Mutant(
        "the outside may use a MAC that only ports here share",
        "compiler/attachment",
        "or mac not in self.elsewhere",
        "or mac not in self.shared",
    ),
    Mutant(
        "the outside may use an address that only ports here share",
        "compiler/attachment",
        "and prefix not in self.elsewhere",
        "and prefix not in self.shared",
    ),
    Mutant(
        "a port elsewhere may not use the MAC that it shares",
        "compiler/attachment",
        "if mac == self.port.mac or mac not in self.elsewhere:",
        "if True:",
    ),
    Mutant(
        "a port elsewhere may not use the address that it shares",
        "compiler/attachment",
        "if prefix.is_host and prefix not in self.elsewhere:",
        "if prefix.is_host:",
    ),
    Mutant(
        "a shared MAC does not follow its holder",
        "compiler/holders",
        "return (_learn(mac, f.IN_PORT),) if named and mac in at.shared_pair_macs() else ()",
        "return ()",
    ),
    Mutant(
        "a shared MAC is not noticed elsewhere",
        "compiler/holders",
        "(_learn(mac, r.ELSEWHERE),)",
        "(call(p.FDB),)",
    ),
    Mutant("any frame of a stand-by takes the MAC", "compiler/holders", "if named and mac in", "if mac in"),
    Mutant(
        "while no holder is known nobody here gets its frames",
        "compiler/holders",
        "(call(p.ALL_HOLDERS), *outside)",
        "(call(p.EXIT),)",
    ),
    Mutant(
        "a silent holder is remembered for ever",
        "compiler/holders",
        "hard_timeout=numbers.HOLDER_SECONDS",
        "hard_timeout=0",
    ),
    Mutant("a holder outlives the policy that named it", "compiler/holders", "bound=True", "bound=False"),
    Mutant(
        "a question for a shared address stays on its bridge",
        "compiler/holders",
        "outside = TELL_OUTSIDE if at.leads_outside(prefix) else ()",
        "outside = ()",
    ),
    Mutant(
        "address detection does not ask those that share the address",
        "compiler/port_flows",
        "return (call(p.NEIGHBOUR),) if address in at.shared else TELL_OUTSIDE",
        "return TELL_OUTSIDE",
    ),
    Mutant(
        "announcements from outside are taken for questions",
        "compiler/static",
        "(ARP_TERM,), TELL_ALL)",
        "(ARP_TERM,), (call(p.NEIGHBOUR),))",
    ),
    Mutant(
        "questions from outside are taken for announcements",
        "compiler/static",
        "in range(32))",
        "in range(31))",
    ),
    Mutant(
        "fragments: those of a port without a rule wait in the tracker",
        "compiler/bridge",
        "if not has_rules_for(local_set.groups, version)",
        "if False",
    ),
    Mutant(
        "fragments: answers to who has only ingress rules are lost",
        "policy/index",
        "for group in groups for each in Direction)",
        "for group in groups for each in (Direction.EGRESS,))",
    ),
    Mutant(
        "fragments: an ingress rule does not let them in at once",
        "policy/index",
        "if self.kinds_of_rules[kind] == (step > 0):",
        "if self.kinds_of_rules[kind] == (step > 0) and rule.direction is Direction.EGRESS:",
    ),
    Mutant(
        "fragments: those that a router brings back cost nothing",
        "compiler/routed",
        "(call(p.FRAGMENTS), lookup)",
        "(lookup,)",
    ),
    Mutant(
        "fragments: those of a stateless sender to a router cost nothing",
        "compiler/routed",
        "if state is UNTRACKED else ()",
        "if False else ()",
    ),
    Mutant(
        "fragments: those from outside cost the receiver nothing",
        "compiler/fragment_budget",
        "yield Flow(p.FRAGMENTS, Priority.NORMAL, (r.OUT(at.ofport),), pay)",
        "pass",
    ),
    Mutant(
        "fragments: ports without port security pay nothing",
        "compiler/port_flows",
        "*port_fragment_flows(at, in_port),",
        "*(port_fragment_flows(at, in_port) if at.port.port_security_enabled else ()),",
    ),
    Mutant(
        "fragments: nothing changes with the last rule of a kind",
        "policy/index",
        "if self.kinds_of_rules[kind] == (step > 0):",
        "if self.kinds_of_rules[kind] == step:",
    ),
    Mutant(
        "fragments: a port pays for itself and not for its network",
        "compiler/fragment_budget",
        "pay = (Meter(numbers.FRAGMENT_METERS + at.ofport), call(p.NETWORK_FRAGMENTS))",
        "pay = (Meter(numbers.FRAGMENT_METERS + at.ofport),)",
    ),
    Mutant(
        "fragments: who pays for those from outside is not known before the tracker",
        "compiler/port_flows",
        "known = () if at.stateless else receiver",
        "known = ()",
    ),
)


class Stale(Exception):
    """A mutant's text is not in the code any more."""


def caught(mutant: Mutant) -> bool:
    """Whether a test fails. Raises Stale, and RuntimeError when the tests did not run."""
    with tempfile.TemporaryDirectory(prefix="sgctl-mutant-") as name:
        directory = Path(name)
        _copy(directory)
        _break(directory / "flows" / f"{mutant.module}.py", mutant)
        code, output = _test(directory)
    if code not in (0, 1):
        raise RuntimeError(f"{mutant.wrong}: the tests did not run: {output[-800:]}")
    return code == 1


def _copy(directory: Path) -> None:
    for each in COPIED:
        source = ROOT / each
        if source.is_dir():
            shutil.copytree(source, directory / each, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, directory)


def _break(file: Path, mutant: Mutant) -> None:
    text = file.read_text(encoding="utf-8")
    if mutant.old not in text:
        raise Stale(f"{mutant.wrong}: flows/{mutant.module}.py does not hold: {mutant.old}")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def _test(directory: Path) -> tuple[int, str]:
    options = ["-x", "-q", "-p", "no:randomly", "--hypothesis-seed=1", "--hypothesis-profile=first"]
    environment = {**os.environ, "PYTHONPATH": str(directory), "PAIRS": "5000"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *TESTS],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, "it never ended"
    return done.returncode, done.stdout + done.stderr


def attempt(mutant: Mutant) -> str:
    """The verdict on one mutant, as a word."""
    try:
        return "caught" if caught(mutant) else "SURVIVED"
    except (Stale, RuntimeError) as error:
        return f"ERROR {error}"


def main(words: list[str]) -> int:
    """Try the mutants; 0 when all were caught."""
    chosen = [m for m in MUTANTS if not words or any(word in m.wrong for word in words)]
    with tempfile.TemporaryDirectory(prefix="sgctl-mutant-") as name:
        _copy(Path(name))
        code, output = _test(Path(name))
    if code:
        sys.stdout.write(f"the tests fail without any mutant:\n{output[-2000:]}\n")
        return 2
    found = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, verdict in zip(chosen, pool.map(attempt, chosen), strict=True):
            sys.stdout.write(f"{verdict:<9} {mutant.module:<26} {mutant.wrong}\n")
            sys.stdout.flush()
            found += verdict == "caught"
    sys.stdout.write(f"{found} of {len(chosen)} mutants caught\n")
    return 0 if found == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
