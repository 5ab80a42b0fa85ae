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

This page is made by `scripts/attacks_doc.py` from the data of the tests. A test fails when the page is out of
date.

{{count}} attacks run against one installation: Open vSwitch, on the userspace datapath and on the kernel's,
the controller as its users start it, and a policy that opens TCP 80, UDP 53 and 9 and ping. For each attack:

1. The honest form of the frame must arrive. This is the *control*.
2. The attack is sent from a network namespace. The hosts that *must not receive* it must receive nothing at
   all: a raw socket on their device, in promiscuous mode, sees no frame.
3. The switch must count a drop for the expected reason, which is named for each datapath. "–" means that the
   frame goes to other hosts, or that the connection tracker keeps it.

Each attack runs *cold*, when the datapath has no flow yet, and *warm*, right after the control was sent
twice: the datapath flows of honest frames must not let an attack through.

The tests do not wait for a fixed time. They send honest frames after the attack; when these have arrived, the
switch has handled the attack.

| party | role |
|---|---|
{"".join(f"| {host.name} | {host.role} |{chr(10)}" for host in EVERYBODY)}"""

LIMITS = """## What is not stopped

* **Contents of DHCP.** A client's `chaddr` and options are payload: a workload can ask for leases in other
  names. The server must check its leases. Addresses that the policy does not give to the port are useless.
* **DHCP replies from the link.** UDP 67 → 68 from the network's subnets, and 547 → 546 from link-local
  addresses, reach a port's own address without a rule: a client without an address has opened no connection.
* **Contents and size of what stays on the link.** ARP, neighbour discovery, router solicitations, DHCP and
  listener reports need no rule, and OpenFlow matches no lengths. A workload can hide data in them, for
  neighbours on its own link, up to the budget of its port
  ([decision](decisions/messages-of-a-link.md)).
* **Redirects from hosts outside.** Any host behind an uplink can send from the router's link-local address.
* **Ports without port security.** They are trusted like uplinks. Their router advertisements, DHCP replies
  and ARP replies are accepted, whatever they claim, and so are the MACs from which they send.
* **Hosts behind uplinks or behind ports without port security, among each other.** They can take each other's
  MACs and addresses, and change what the switch has learned about them. They cannot take those of a local
  port.
* **Members of remote groups, by neighbours behind an uplink.** A neighbour can take the address of a port
  that is bound nowhere, and communicate as that member in both directions. It can send with the address of a
  port that is bound on another bridge, and compete with that port for the replies. It cannot do either with
  the address of a port on the bridge where its frames arrive. A network with `bound_members_only` counts no
  port that is bound nowhere ([decision](decisions/bound-members.md)).
* **ICMP errors from outside.** Any router on the path may report errors of a connection, so ICMP errors from
  uplinks are accepted.
* **Large datagrams and new connections within a network.** Three ports of a network, or a neighbour on its
  LAN, can use up the network's budget of fragments, and one port can use up its limit of connections
  ([decision](decisions/tracker-shares.md)). Other networks are not affected. With the kernel's default memory
  for fragments they are, if two ports work together.
* **Shared addresses.** Ports with the same allowed address pair can take the address from each other: that
  is its purpose. While one of them is on another bridge, any host on the wire between the bridges can take
  it, too.

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
    columns = "attack", "sender", "must not receive", "userspace", "kernel", "control"
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
    passes = "passes" if attack.kernel.passes else _dropped(attack.kernel.reason)
    return f"{passes}: {attack.kernel.why}"


def _described(send: Send) -> str:
    return f"{send.sender.name} → {', '.join(host.name for host in send.to)}"


def _hosts(hosts: tuple[AttackHost, ...], sender: AttackHost) -> str:
    if hosts == EVERYBODY:
        return "all hosts"
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
