"""Workload W(P, M) and the changes that are measured on it, as policy objects.

P local ports are all in group `sg`: ten TCP port rules from anywhere, all TCP from `sg` itself, TCP 3306
from `sg2` with M remote members, all egress; anti-spoof on.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

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

TCP = 6
NETWORK = "blue"
FIRST_ADDRESS = 0x0A000001
OPEN_PORTS = tuple(range(1000, 2000, 100))
_MEMBERS_FROM = 1 << 16


def identifier(name: str) -> str:
    """The id of the object with this name."""
    return str(uuid5(NAMESPACE_OID, name))


def interface(number: int) -> str:
    """The name of the device of local port `number`."""
    return f"p{number}"


def mac(number: int) -> str:
    """The MAC of port `number` (below 2^24)."""
    return f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def address(number: int) -> Prefix:
    """The address of port `number` in 10.0.0.0/8."""
    return Prefix(4, FIRST_ADDRESS + number, 32)


def port(number: int, group: str) -> Port:
    """Port `number`, in one group."""
    name = interface(number)
    return Port(
        id=identifier(name),
        name=name,
        network_id=identifier(NETWORK),
        mac=mac(number),
        iface_id=name,
        fixed_ips=(address(number),),
        security_groups=frozenset([identifier(group)]),
    )


def local_port(number: int) -> Port:
    """A port with a local device, in the group whose rules are measured."""
    return port(number, "sg")


def remote_member(number: int) -> Port:
    """A member of `sg2` that is bound on another host."""
    return port(_MEMBERS_FROM + number, "sg2")


def tcp_rule(number: int, group: str = "sg", remote: str | None = None) -> Rule:
    """An ingress rule for one TCP port, from anywhere or from a group."""
    return Rule(
        id=identifier(f"rule-{group}-{number}-{remote}"),
        number=0,
        group_id=identifier(group),
        direction=Direction.INGRESS,
        ethertype=Ethertype.IPV4,
        protocol=TCP,
        port_range_min=number,
        port_range_max=number,
        remote_group_id=identifier(remote) if remote else None,
    )


def _egress_rule(ethertype: Ethertype) -> Rule:
    return Rule(identifier(f"egress-{ethertype}"), 0, identifier("sg"), Direction.EGRESS, ethertype=ethertype)


def _from_itself() -> Rule:
    return Rule(
        id=identifier("from-itself"),
        number=0,
        group_id=identifier("sg"),
        direction=Direction.INGRESS,
        ethertype=Ethertype.IPV4,
        protocol=TCP,
        remote_group_id=identifier("sg"),
    )


def base(rules: int = len(OPEN_PORTS)) -> list[PolicyObject]:
    """Network, groups and rules, with `rules` TCP port rules from anywhere instead of ten."""
    numbers = OPEN_PORTS if rules == len(OPEN_PORTS) else range(1000, 1000 + 7 * rules, 7)
    return [
        Network(identifier(NETWORK), NETWORK, subnets=(Prefix.parse("10.0.0.0/8"),)),
        SecurityGroup(identifier("sg"), "sg"),
        SecurityGroup(identifier("sg2"), "sg2"),
        *(tcp_rule(number) for number in numbers),
        _from_itself(),
        tcp_rule(3306, remote="sg2"),
        _egress_rule(Ethertype.IPV4),
        _egress_rule(Ethertype.IPV6),
    ]


@dataclass(frozen=True)
class BenchWorkload:
    """The size of a workload: local ports, remote members, TCP port rules from anywhere."""

    ports: int
    members: int
    rules: int = len(OPEN_PORTS)

    def __str__(self) -> str:
        rules = "" if self.rules == len(OPEN_PORTS) else f", {self.rules} rules"
        return f"W({self.ports}, {self.members}{rules})"

    def objects(self) -> list[PolicyObject]:
        """All objects; an object comes after those that it refers to."""
        locals_ = [local_port(number) for number in range(1, self.ports + 1)]
        return [*base(self.rules), *locals_, *(remote_member(n) for n in range(1, self.members + 1))]

    def additions(self) -> list[Change]:
        """The changes that create the workload from an empty policy."""
        return [Change(None, obj) for obj in self.objects()]
