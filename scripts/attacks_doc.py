"""Write docs/attacks.md: every attack and every honest behaviour that is tested, from the tests' data.

.venv/bin/python -m scripts.attacks_doc         # rewrites the page
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from flows.openflow.reasons import Reason
from lab.attack import EVERYBODY, INSIDE, Attack, AttackHost, Family, Send
from tests.attacks.table import ATTACKS, FAMILIES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "attacks.md"
HONEST_TESTS = ROOT / "tests" / "system"
_FEW = 4

INTRODUCTION = f"""# Attacks, and what honest hosts may expect

This page is made by `scripts/attacks_doc.py` from the data of the tests; a test fails when it no longer
tells the truth.

{{count}} attacks run against one installation: Open vSwitch, on the userspace datapath and on the kernel's,
the controller as its users start it, and a policy that opens TCP 80, UDP 53 and 9 and ping. For each of them

1. the same frame, said honestly, has to arrive (the *control*);
2. the attack is sent from a network namespace, and nothing at all may arrive at those who are spared,
   as seen by a raw socket on their device in promiscuous mode;
3. the switch must have counted a drop for the expected reason, which is named for each datapath. "–" as
   reason means that the frame goes elsewhere, or that the connection tracker holds it back.

Each runs *cold*, when the datapath has no flow left from before, and *warm*, right after the control was sent
twice: what an honest frame leaves in the datapath must not let an attack in.

That an attack has met its fate is known without waiting: honest frames sent after it have arrived.

| party | role |
|---|---|
{"".join(f"| {host.name} | {host.role} |{chr(10)}" for host in EVERYBODY)}"""

LIMITS = """## What is not stopped

* **Contents of DHCP.** A client's `chaddr` and options are payload; a workload can ask for leases in other
  names. Leases are the server's to check; addresses that the policy does not give are useless.
* **DHCP answers from the link.** UDP 67 → 68 from the network's subnets, and 547 → 546 from link-local
  addresses, pass to a port's own address without a rule: a client that has no address yet has opened no
  connection.
* **Contents and size of what stays on the link.** ARP, neighbour discovery, router solicitations, DHCP and
  listener reports need no rule, and OpenFlow matches no lengths: a workload can hide data in them, for
  neighbours on its own link, up to the budget of its port
  ([decision](decisions/messages-of-a-link.md)).
* **Redirects from hosts outside.** Whoever is behind an uplink can send as the router's link-local address.
* **Ports without port security.** They are trusted like uplinks: router advertisements, DHCP answers and ARP
  replies of theirs are believed, whatever they claim, and so are the MACs from which they send.
* **Hosts behind uplinks, or behind ports without port security, among each other.** They may
  take each other's MACs and addresses, and poison what
  the switch learned about them. They cannot take a local port's.
* **Members of remote groups, by neighbours behind an uplink.** A neighbour can take the address of a port
  that is bound nowhere, answer for it and talk as that member, both ways. He can send as a port that is bound
  on another bridge, and fight that port for the answers. He cannot do either with the address of a port on
  the bridge where his frames arrive. A network with `bound_members_only` counts no port that is bound nowhere
  ([decision](decisions/bound-members.md)).
* **Errors from the outside.** Any router on the path may tell about a connection, so ICMP errors from
  uplinks are believed.
* **Large datagrams and new connections within a network.** Three ports of a network, or a neighbour on its
  LAN, can use up what the network may have of fragments, and one port what it may have of connections
  ([decision](decisions/tracker-shares.md)). Other networks do not notice; with the kernel's default memory
  for fragments they do when two ports work together.
* **Shared addresses.** Ports with the same allowed address pair can take the address from each other: that
  is its purpose. While one of them is on another bridge, who is on the wire between the bridges can take it,
  too.

See also [odd packets](odd-packets.md) and the decisions on
[routers and servers](decisions/routers-and-servers.md), [virtual routers](decisions/virtual-routers.md) and
[shared addresses](decisions/shared-addresses.md).
"""


def render() -> str:
    """The whole page."""
    chapters = (_chapter(family) for family in FAMILIES)
    honest = "\n".join(f"* {sentence}" for sentence in _honest_behaviours())
    head = INTRODUCTION.format(count=len(ATTACKS))
    return "\n".join([head, *chapters, f"## Honest hosts\n\n{honest}\n", LIMITS])


def _chapter(family: Family) -> str:
    rows = "".join(map(_row, family.attacks))
    columns = "attack", "by", "spared", "userspace: cold, warm", "kernel: cold, warm", "control"
    head = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"
    return f"## {family.name}\n\n{head}{rows}"


def _row(attack: Attack) -> str:
    reasons = _dropped(attack.reason), _on_kernel(attack)
    control = "; ".join(map(_described, attack.control))
    cells = attack.name, attack.sender.name, _hosts(attack.spared, attack.sender), *reasons, control
    return f"| {' | '.join(cells)} |\n"


def _dropped(reason: Reason | None) -> str:
    return "–" if reason is None else reason.name


def _on_kernel(attack: Attack) -> str:
    """The reason, and where the kernel rightly differs, why."""
    if attack.kernel is None:
        return _dropped(attack.reason)
    passes = "it passes" if attack.kernel.passes else _dropped(attack.kernel.reason)
    return f"{passes}: {attack.kernel.why}"


def _described(send: Send) -> str:
    return f"{send.sender.name} → {', '.join(host.name for host in send.to)}"


def _hosts(hosts: tuple[AttackHost, ...], sender: AttackHost) -> str:
    if hosts == EVERYBODY:
        return "everybody"
    if hosts == INSIDE:
        return "all inside"
    others = [host.name for host in EVERYBODY if host not in hosts and host is not sender]
    if len(others) < _FEW:
        return f"all but {', '.join(others)}"
    return ", ".join(host.name for host in hosts)


def _honest_behaviours() -> Iterator[str]:
    """The names of the tests, read as sentences."""
    for path in sorted(HONEST_TESTS.glob("test_honest_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = node.name.removeprefix("test_").replace("_", " ")
                yield f"{words[0].upper()}{words[1:]} (`{path.relative_to(ROOT)}`)"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
