"""Scale in simulation: compiler and policy in one process, without databases and switch.

10,000 ports on one bridge, 1,000 groups, 100,000 rules, 100,000 remote addresses. The figures do not include
the switch. It runs on one core, in a separate process, whose memory is that of the compiler.
"""

from __future__ import annotations

import gc
import random
import resource
import statistics
import time
from collections.abc import Iterator

from bench.record import Record
from bench.workload import NETWORK, TCP, identifier
from flows.compiler.bridge import BridgeCompiler, LocalState
from flows.policy.index import Policy
from flows.policy.objects import (
    FIRST_RULE_NUMBER,
    AddressGroup,
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
from sgctl.ovsdb.collector import collector_paused
from sgctl.ryu.manager import COLLECTOR_THRESHOLDS

PORTS, GROUPS, RULES, ADDRESSES = 10_000, 1_000, 100_000, 100_000
ADDRESS_GROUPS = 1_000
_FIRST_ADDRESS, _FIRST_REMOTE = 0x0A000001, 0x14000001
_EDITS = 30


def measure(record: Record) -> None:
    """Measure a compile from an empty state, then single edits."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)  # as the controller does
    policy = Policy()
    start = time.process_time()
    policy.apply(Change(None, obj) for obj in _objects())
    bridge = BridgeCompiler(policy)
    ports = {number: f"p{number}" for number in range(1, PORTS + 1)}
    with collector_paused():  # as the controller does
        bridge.set_local(LocalState(ports, {}, {identifier(NETWORK): 1}))
        count = len(bridge.flush().added)
    record.put("scale_compile", time.process_time() - start)
    record.put("scale_flows", count)
    worst = max(_edits(policy, bridge))
    record.put("scale_edit", worst * 1000)
    record.put("scale_memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _edits(policy: Policy, bridge: BridgeCompiler) -> Iterator[float]:
    """The median time of each kind of edit; each edit is also undone."""
    for kind in (_new_rule, _new_member, _new_address):
        took = []
        for number in range(_EDITS):
            change = kind(policy, number)
            for step in (change, Change(change.new, change.old)):
                start = time.process_time()
                bridge.update(policy.apply([step]))
                bridge.flush()
                took.append(time.process_time() - start)
        yield statistics.median(took)


def _new_rule(_: Policy, number: int) -> Change:
    return Change(None, _rule(RULES + number, f"g{number}", remote_group=f"g{number + 1}"))


def _new_member(_: Policy, number: int) -> Change:
    return Change(None, _port(PORTS + 1 + number, frozenset([f"g{number}"])))


def _new_address(policy: Policy, number: int) -> Change:
    group = policy.address_groups[f"a{number}"]
    more = Prefix(4, _FIRST_REMOTE + ADDRESSES + number, 32)
    return Change(group, AddressGroup(group.id, group.name, group.addresses | {more}))


def _objects() -> Iterator[PolicyObject]:
    chance = random.Random(1)  # noqa: S311 - the same policy every time
    yield Network(identifier(NETWORK), NETWORK, subnets=(Prefix.parse("10.0.0.0/8"),))
    for number in range(GROUPS):
        yield SecurityGroup(f"g{number}", f"g{number}")
    size = ADDRESSES // ADDRESS_GROUPS
    for number in range(ADDRESS_GROUPS):
        first = _FIRST_REMOTE + number * size
        addresses = frozenset(Prefix(4, first + offset, 32) for offset in range(size))
        yield AddressGroup(f"a{number}", f"a{number}", addresses)
    for number in range(RULES):
        yield _some_rule(number, chance)
    for number in range(1, PORTS + 1):
        groups = frozenset(f"g{number * 7 % GROUPS if n == 0 else number % GROUPS}" for n in range(2))
        yield _port(number, groups)


def _some_rule(number: int, chance: random.Random) -> Rule:
    """A rule of any kind: half from anywhere, a quarter from a group, a quarter from an address group."""
    group, kind = f"g{number % GROUPS}", number // GROUPS % 4
    if kind == 2:
        return _rule(number, group, remote_group=f"g{chance.randrange(GROUPS)}")
    if kind == 3:
        return _rule(number, group, address_group=f"a{chance.randrange(ADDRESS_GROUPS)}")
    return _rule(number, group)


def _rule(number: int, group: str, *, remote_group: str = "", address_group: str = "") -> Rule:
    port = 1 + number // GROUPS % 65000
    return Rule(
        id=f"r{number}",
        number=FIRST_RULE_NUMBER + number,
        group_id=group,
        direction=Direction.INGRESS,
        ethertype=Ethertype.IPV4,
        protocol=TCP,
        port_range_min=port,
        port_range_max=port,
        remote_group_id=remote_group or None,
        remote_address_group_id=address_group or None,
    )


def _port(number: int, groups: frozenset[str]) -> Port:
    name = f"p{number}"
    mac = f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    address = Prefix(4, _FIRST_ADDRESS + number, 32)
    return Port(name, name, identifier(NETWORK), mac, name, (address,), groups)
