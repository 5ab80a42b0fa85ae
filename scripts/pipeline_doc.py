"""Writes docs/pipeline.md: the declared tables, each with the flows of a real switch for a small policy.

.venv/bin/python scripts/pipeline_doc.py          # rewrites the page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.compiler.bitwise_checks import COMPARING
from flows.compiler.bridge import LocalState, compile_bridge
from flows.compiler.services import ICMP
from flows.openflow.pipeline import TABLES
from flows.openflow.reasons import Reason
from flows.openflow.registers import REGISTERS
from flows.openflow.table import Table
from flows.policy.index import Policy
from flows.policy.objects import (
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

PAGE = Path(__file__).parent.parent / "docs" / "pipeline.md"
BRIDGE = "br0"
_SHOWN = 4
"""How many flows are shown at the beginning and at the end of a table that compares bit by bit."""

INTRODUCTION = """# The pipeline

This page is made by `scripts/pipeline_doc.py` from the declarations in `flows/openflow/pipeline.py` and from
the flow table of a real switch. A test fails when the page is out of date.

Directions are relative to the workload: *egress* leaves the port's machine, *ingress* enters it.

A packet from a workload passes these tables:

1. `CLASSIFY` finds the port's network (the conntrack zone stands for it) and the port's *identity*, a number
   for the set of security groups that the port carries. Frames from uplinks go to `UPLINK`.
2. `OWN_…` drop forged MACs and addresses at the first wrong bit. `SPOOF…` pass only frames with the port's
   own MAC and address. `ADMIT` handles neighbour discovery and DHCP, drops broadcast, and sends the rest
   through `CONNTRACK`: one lookup per packet. `TRACKED` drops packets that the tracker returns without
   having looked them up.
3. `SOURCE_CHECK` checks the sender's rules. `FORWARD` finds the receiver by its MAC, `RECEIVER` checks that
   the packet is for an address of the receiver, and `DEST_CHECK` checks the receiver's rules. If both sides
   allow the packet, `OUTPUT` (or `EXIT`, towards an uplink) commits a new connection and sends the packet.
4. A packet that is refused gets a reason and goes to `DROP`, which counts it.

The rule tables are a subroutine. `…_ANY` holds rules without a remote. If none of them matches,
`…_MEMBER` and `…_PREFIX` turn the remote address into two more identities (the remote groups that it belongs
to, and the CIDRs and address groups that cover it), and `…_RULES` decides. A rule is a conjunction of up to
three clauses: *local identity*, *service* and *remote identity*. Its number is the `conj_id`. The number of
flows therefore grows with ports + addresses + rules, not with their product. Rules for all protocols come
first: a packet of a protocol that no rule names is not compared with the other rules.

**Packets of open connections are judged by the current rules**, in both directions, applied to the addresses
and ports of the connection's first packet (`ct_nw_src`, `ct_tp_dst`, …). The sender of a reply is the
connection's destination, so the source side checks its *ingress* rules. Removing a rule therefore stops its
connections at once, and a connection that is still allowed is not affected.
"""

EXAMPLE = """## The example

A network `blue` with an uplink on OpenFlow port 3; `web1` on port 1 in group `web`, `db1` on port 2 in
group `db`. The dumps below are `ovs-ofctl -OOpenFlow14 --no-stats dump-flows br0 table=N` without cookies,
with table names for table numbers.

| number | group | rule |
|---|---|---|
"""


def _rules() -> list[Rule]:
    anywhere: dict[str, Any] = {}
    web: dict[str, Any] = {"remote_group_id": "web"}
    lan: dict[str, Any] = {"remote_ip_prefix": Prefix.parse("198.51.100.0/24")}
    described: list[tuple[str, Direction, Ethertype, int | None, int | None, int | None, dict[str, Any]]] = [
        ("web", Direction.EGRESS, Ethertype.IPV4, None, None, None, anywhere),
        ("web", Direction.INGRESS, Ethertype.IPV4, 6, 80, 80, anywhere),
        ("web", Direction.INGRESS, Ethertype.IPV4, 1, 8, 0, lan),
        ("db", Direction.INGRESS, Ethertype.IPV4, 6, 3306, 3306, web),
        ("db", Direction.INGRESS, Ethertype.IPV4, 17, 6000, 6005, web),
        ("db", Direction.INGRESS, Ethertype.IPV6, 6, 3306, 3306, web),
    ]
    return [
        Rule(f"rule-{number}", number, group, direction, family, protocol, low, high, **remote)
        for number, (group, direction, family, protocol, low, high, remote) in enumerate(described, 16)
    ]


def _example() -> tuple[list[Rule], str]:
    rules = _rules()
    objects: list[PolicyObject] = [
        Network("blue", "blue", subnets=(Prefix.parse("10.0.0.0/24"),)),
        SecurityGroup("web", "web"),
        SecurityGroup("db", "db"),
        *rules,
        *(
            Port(
                name,
                name,
                "blue",
                f"02:00:00:00:00:0{n}",
                name,
                (Prefix.parse(f"10.0.0.{n}"),),
                frozenset([group]),
            )
            for n, name, group in ((1, "web1", "web"), (2, "db1", "db"))
        ),
    ]
    policy = Policy()
    policy.apply([Change(None, thing) for thing in objects])
    state = LocalState({1: "web1", 2: "db1"}, {3: frozenset(["blue"])}, {"blue": 1})
    flows = compile_bridge(policy, state).values()
    return rules, "".join(f"cookie={flow.cookie:#x},{flow}\n" for flow in flows)


def _describe(rule: Rule) -> str:
    service = "anything" if rule.protocol is None else f"protocol {rule.protocol}"
    if rule.protocol == ICMP:
        service = f"ICMP type {rule.port_range_min} code {rule.port_range_max}"
    elif rule.port_range_min is not None:
        service += f" ports {rule.port_range_min}–{rule.port_range_max}"
    remote = rule.remote_group_id or rule.remote_ip_prefix or "any"
    return f"{rule.direction} {rule.ethertype}, {service}, remote {remote}"


def _readable(line: str) -> str:
    """A line of a dump without cookie and with table names; sorted dumps stay sorted."""
    names = {str(table.id): table.name for table in TABLES}
    line = re.sub(r"cookie=0x[0-9a-f]+, ", "", line.strip())
    line = re.sub(r"table=\d+, ?", "", line)
    return re.sub(r"(resubmit\(,|[(,]table=)(\d+)", lambda found: found[1] + names[found[2]], line)


def _tables(ovs: PrivateOvs) -> Iterator[str]:
    for table in TABLES:
        dump = ovs.ofctl("-OOpenFlow14", "--no-stats", "dump-flows", BRIDGE, f"table={table.id}")
        lines = [_readable(line) for line in dump.splitlines() if "actions=" in line]
        yield _section(table, sorted(lines, key=_by_priority))


def _by_priority(line: str) -> tuple[int, str]:
    found = re.search(r"priority=(\d+)", line)
    return (-int(found[1]) if found else 0, line)


def _section(table: Table, lines: list[str]) -> str:
    miss = table.miss.name if isinstance(table.miss, Reason) else table.miss.value
    matched = ", ".join(sorted(f"`{field.name}`" for field in table.fields))
    if table.id in COMPARING:
        more = f"({len(lines) - 2 * _SHOWN} more like these: some for each bit)"
        lines = [*lines[:_SHOWN], more, *lines[-_SHOWN:]]
    head = f"### {table.id} {table.name}\n\n{table.purpose}\n\n- no match: {miss}\n- may match: {matched}\n"
    return head + "\n```\n" + "\n".join(lines) + "\n```\n"


def render() -> str:
    """The whole page. Needs Open vSwitch's programs; raises LabError without them."""
    rules, flows = _example()
    with PrivateOvs(dummy=True) as ovs:
        ovs.add_bridge(BRIDGE, "fail_mode=secure")
        ovs.add_meters(BRIDGE, flows)
        ovs.ofctl("-OOpenFlow14", "--bundle", "replace-flows", BRIDGE, "-", stdin=flows)
        tables = "\n".join(_tables(ovs))
    rows = "".join(f"| {rule.number} | {rule.group_id} | {_describe(rule)} |\n" for rule in rules)
    registers = "".join(f"| `{field.name}` | {name} |\n" for name, field in REGISTERS.items())
    reasons = "".join(f"| {r.value:#x} | {r.name} | {r.explanation} |\n" for r in Reason)
    return "\n".join(
        [
            INTRODUCTION,
            f"## Registers\n\n| register | holds |\n|---|---|\n{registers}",
            f"## Why packets are dropped\n\n| REASON | name | meaning |\n|---|---|---|\n{reasons}",
            EXAMPLE + rows,
            f"## Tables\n\n{tables}",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
