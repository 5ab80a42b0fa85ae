"""The flows on a real switch, each with its purpose, as plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flows.compiler.claims import Owner
from flows.openflow import registers as r
from flows.openflow.flow import FlowKey
from flows.openflow.numbers import COOKIE_TAG, LEARNED_COOKIE_TAG
from flows.policy.index import Policy, member_addresses
from flows.policy.objects import Port
from sgctl.controller.engine import ManagedBridge
from sgctl.explain.expected import Unexplained
from sgctl.explain.flow_names import FlowNames, table_name

_STATS = re.compile(
    r"^ *cookie=(0x[0-9a-f]+|0), duration=([0-9.]+)s, (?:table=(\d+), )?n_packets=(\d+), n_bytes=(\d+), "
)
_PRIORITY = re.compile(r"\bpriority=(\d+),?")
_AGES = re.compile(r"\b(?:idle|hard)_(?:age|timeout)=\d+, |reset_counts |send_flow_rem ")
_DEFAULT_PRIORITY = 0x8000


@dataclass(frozen=True)
class InstalledFlow:
    """One line of `ovs-ofctl dump-flows`. `seconds` is its age."""

    cookie: int
    seconds: float
    table: int
    priority: int
    packets: int
    octets: int
    match: str
    actions: str

    @classmethod
    def parse(cls, line: str) -> InstalledFlow:
        """Raises Unexplained for a line that is not a flow."""
        stats, (rest, _, actions) = _STATS.match(line), line.partition(" actions=")
        if stats is None or not actions:
            raise Unexplained(f"ovs-ofctl printed a line that is not a flow: {line}")
        rest = _AGES.sub("", rest[stats.end() :])
        priority = _PRIORITY.search(rest)
        return cls(
            int(stats[1], 16),
            float(stats[2]),
            int(stats[3] or 0),
            int(priority[1]) if priority else _DEFAULT_PRIORITY,
            int(stats[4]),
            int(stats[5]),
            _PRIORITY.sub("", rest).strip(", "),
            actions,
        )


@dataclass(frozen=True)
class Wanted:
    """Which flows to show, by ids, rule numbers and table ids. A flow must meet every condition given."""

    port: str | None = None
    group: str | None = None
    rule: int | None = None
    table: int | None = None


class Dump:
    """One bridge's flows with names."""

    def __init__(self, policy: Policy, managed: ManagedBridge) -> None:
        self.names = FlowNames(policy, managed)
        self._policy = policy
        self._managed = managed
        self._keys = {flow.cookie: key for key, flow in managed.compiler.flows.items()}

    def records(self, lines: Sequence[str], wanted: Wanted) -> Iterator[dict[str, object]]:
        """The wanted flows, in the order in which a packet meets them."""
        tests = _Tests(self._policy, self._managed, wanted)
        for flow in sorted(map(InstalledFlow.parse, lines), key=lambda flow: (flow.table, -flow.priority)):
            key = self._keys.get(flow.cookie)
            owners = self._managed.compiler.owners(key) if key is not None else []
            if tests.fit(flow, key, owners):
                yield self._record(flow, owners)

    def _record(self, flow: InstalledFlow, owners: Sequence[Owner]) -> dict[str, object]:
        return {
            "bridge": self._managed.bridge.name,
            "table": table_name(flow.table),
            "table_id": flow.table,
            "priority": flow.priority,
            "match": self.names.annotate(flow.match),
            "actions": self.names.annotate(flow.actions),
            "packets": flow.packets,
            "bytes": flow.octets,
            "seconds": flow.seconds,
            "for": [self.names.owner(owner) for owner in owners] or [_unowned_flow(flow.cookie)],
            "cookie": f"{flow.cookie:#018x}",
            "flow": f"{flow.match} actions={flow.actions}".strip(),
        }


def _unowned_flow(cookie: int) -> str:
    if cookie >> 56 == LEARNED_COOKIE_TAG:
        return "learned by the switch"
    return "not expected" if cookie >> 56 == COOKIE_TAG else "not ours"


class _Tests:
    """Decides whether a flow is one of the wanted flows."""

    def __init__(self, policy: Policy, managed: ManagedBridge, wanted: Wanted) -> None:
        self._wanted = wanted
        self._policy = policy
        self._groups = {} if wanted.group is None else self._of_group(managed, wanted.group)
        port = policy.ports.get(wanted.port) if wanted.port else None
        self._ofport = next((o for o, held in managed.bindings.ports.items() if held == wanted.port), None)
        self._addresses = set(member_addresses(port)) if port else set()
        self._local = _identity(managed, port) if port else None
        self._numbers = self._rule_numbers()

    def _rule_numbers(self) -> set[int]:
        if self._wanted.rule is not None:
            return {self._wanted.rule}
        ids = self._policy.rules_of_group.get(self._wanted.group or "", set())
        return {self._policy.rules[rule].number for rule in ids}

    @staticmethod
    def _of_group(managed: ManagedBridge, group: str) -> dict[int, bool]:
        local = {number: True for number, held in managed.compiler.identities.items() if group in held.groups}
        remote = {
            number: True
            for number, held in managed.compiler.remote_identities().items()
            if any(selector.key == group for selector in held)
        }
        return local | remote

    def fit(self, flow: InstalledFlow, key: FlowKey | None, owners: Sequence[Owner]) -> bool:
        wanted = self._wanted
        if wanted.table is not None and flow.table != wanted.table:
            return False
        if wanted.rule is not None and not self._by_rule(owners):
            return False
        if wanted.group is not None and not (self._by_rule(owners) or self._names_identity(key, flow)):
            return False
        return wanted.port is None or self._by_port(key, owners)

    def _by_rule(self, owners: Sequence[Owner]) -> bool:
        return any(owner[0] == "rule" and owner[1] in self._numbers for owner in owners)

    def _names_identity(self, key: FlowKey | None, flow: InstalledFlow) -> bool:
        held = {term.value for term in key.match} if key else set()
        return any(number in held or f"{number:#x}" in flow.actions for number in self._groups)

    def _by_port(self, key: FlowKey | None, owners: Sequence[Owner]) -> bool:
        if any(owner == ("port", self._ofport) for owner in owners):
            return True
        if any(len(owner) > 2 and owner[2] in self._addresses for owner in owners):
            return True
        return key is not None and self._local is not None and r.LOCAL(self._local) in key.match


def _identity(managed: ManagedBridge, port: Port) -> int | None:
    return next((at.identity for at in managed.compiler.attached if at.port.id == port.id), None)
