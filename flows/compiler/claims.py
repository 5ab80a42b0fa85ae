"""Claims of several owners on one flow key, merged into the flow that the switch should hold.

Several owners may claim one key (clauses of many rules on one match; an address that two ports
share). The merged flow depends only on the present claims, never on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from flows.openflow.actions import Action, Conjunction, Output
from flows.openflow.flow import Flow, FlowDiff, FlowKey
from flows.openflow.pipeline import ALL_HOLDERS, LISTENERS, NEIGHBOUR, RANGES, SHARED, SOLICITED
from flows.policy.objects import Prefix

Actions = tuple[Action, ...]
Owner = tuple[str, int | str] | tuple[str, int, int | Prefix] | tuple[str, int, Prefix, int]
"""The owner of a claim: a kind and its key, e.g. ("rule", 17); sortable within a kind."""

ADD_UP = frozenset({ALL_HOLDERS.id, NEIGHBOUR.id, SHARED.id, LISTENERS.id, SOLICITED.id, RANGES.id})
"""Tables in which a flow has the actions of all its claims, such as outputs to all owners of an address."""

MOST_CLAIMS = {ALL_HOLDERS.id: 500, SHARED.id: 500}
"""The most claims on one flow, by table. Open vSwitch drops a packet after 4,096 lookups, and each port that
gets a copy takes up to 8 of them."""


def merge(key: FlowKey, claims: Mapping[Owner, Flow]) -> Actions:
    """The one action list for several claims on a key.

    Conjunction clauses are combined, and so are all claims in the tables of `ADD_UP`. Any other key gets the
    actions of the owner that sorts first.
    """
    in_order = [flow.actions for _, flow in sorted(claims.items(), key=lambda claim: claim[0])]
    if key.table in ADD_UP:
        return _added_up(in_order)
    if isinstance(in_order[0][0], Conjunction):
        return tuple(dict.fromkeys(chain.from_iterable(in_order)))
    return in_order[0]


def _added_up(claims: Iterable[Actions]) -> Actions:
    """All outputs come first, since other actions may change the packet. Equal actions are done once."""
    ports = (action for actions in claims for action in actions if isinstance(action, Output))
    rest = (tuple(action for action in actions if not isinstance(action, Output)) for actions in claims)
    return (*dict.fromkeys(ports), *chain.from_iterable(dict.fromkeys(rest)))


class _Entry:
    """A key, the claims on it, and the flow that the switch should hold for it.

    Nearly all keys have one claim: `owner` and `wanted`. Several claims are in `wanted`, by owner.
    """

    __slots__ = ("flow", "key", "owner", "wanted")

    def __init__(self, key: FlowKey) -> None:
        self.key = key
        self.owner: Owner | None = None
        self.wanted: Flow | dict[Owner, Flow] | None = None
        self.flow: Flow | None = None

    def claim_of(self, owner: Owner) -> Flow | None:
        """The flow that the owner claims, or None."""
        if isinstance(self.wanted, dict):
            return self.wanted.get(owner)
        return self.wanted if self.owner == owner else None

    def owners(self) -> list[Owner]:
        """The owners of the claims, in order."""
        if isinstance(self.wanted, dict):
            return sorted(self.wanted)
        return [] if self.owner is None else [self.owner]

    def add(self, owner: Owner, flow: Flow) -> None:
        """Add a claim, or replace the owner's claim."""
        first, wanted = self.owner, self.wanted
        if isinstance(wanted, dict):
            wanted[owner] = flow
        elif wanted is None or first is None or first == owner:
            self.owner, self.wanted = owner, flow
        else:
            self.owner, self.wanted = None, {first: wanted, owner: flow}

    def remove(self, owner: Owner) -> None:
        """Remove the owner's claim, which must exist."""
        if not isinstance(self.wanted, dict):
            self.owner = self.wanted = None
            return
        del self.wanted[owner]
        if len(self.wanted) == 1:
            ((self.owner, self.wanted),) = self.wanted.items()

    def merged(self) -> Flow | None:
        """The flow that results from the claims; the object in `flow` if its actions are the same."""
        flow = self.wanted
        if isinstance(flow, dict):
            flow = Flow.at(self.key, merge(self.key, flow))
        if flow is not None and self.flow is not None and flow.actions == self.flow.actions:
            return self.flow
        return flow

    def is_overcrowded(self, merged: Flow) -> bool:
        """Whether the claims are too many for one flow. A single claim always fits."""
        if not isinstance(self.wanted, dict):
            return False
        return len(self.wanted) > MOST_CLAIMS.get(self.key.table, len(self.wanted)) or not merged.fits


class _MergedFlows(Mapping[FlowKey, Flow]):
    """The flows of all entries, by key: a view, since a second dictionary would be as large as the first."""

    def __init__(self, entries: Mapping[FlowKey, _Entry]) -> None:
        self._entries = entries
        self.count = 0

    def __getitem__(self, key: FlowKey) -> Flow:
        flow = self._entries[key].flow
        if flow is None:
            raise KeyError(key)
        return flow

    def __iter__(self) -> Iterator[FlowKey]:
        return (key for key, entry in self._entries.items() if entry.flow is not None)

    def __len__(self) -> int:
        return self.count


class ClaimTable:
    """Claims, and the flows that result from them. `flush` returns what changed since the last one."""

    def __init__(self) -> None:
        self._entries: dict[FlowKey, _Entry] = {}
        # Flows that are claimed one by one are kept in dictionaries, which are smaller than sets.
        self._held: dict[Owner, tuple[_Entry, ...] | dict[_Entry, None]] = {}
        self._dirty: dict[_Entry, None] = {}
        self._flows = _MergedFlows(self._entries)
        self.left_out: dict[FlowKey, None] = {}
        """Keys with more claims than fit one flow. They have no flow; all other keys are unaffected.

        Only actions that permit or deliver something are combined, so a missing flow permits less."""

    @property
    def flows(self) -> Mapping[FlowKey, Flow]:
        """The flows as of the last `flush`."""
        return self._flows

    def assign(self, owner: Owner, flows: Iterable[Flow]) -> None:
        """Replace all of the owner's flows with these."""
        before = self._held.pop(owner, ())
        after = dict.fromkeys([self._add(owner, flow) for flow in flows])
        if after:
            self._held[owner] = tuple(after)
        for entry in before:
            if entry not in after:
                self._remove(owner, entry)

    def claim(self, owner: Owner, key: FlowKey, actions: Actions) -> None:
        """Add one flow to the owner's flows, or change its actions."""
        self._one_by_one(owner)[self._add(owner, Flow.at(key, actions))] = None

    def withdraw(self, owner: Owner, key: FlowKey) -> None:
        """Remove one of the owner's flows. A key that the owner does not claim is left alone."""
        entry = self._entries.get(key)
        if entry is None or entry.claim_of(owner) is None:
            return
        self._remove(owner, entry)
        held = self._one_by_one(owner)
        del held[entry]
        if not held:
            del self._held[owner]

    def release(self, owner: Owner) -> None:
        """Remove all of the owner's flows."""
        self.assign(owner, ())

    def owners(self, key: FlowKey) -> list[Owner]:
        """The owners that claim a flow, in order."""
        entry = self._entries.get(key)
        return entry.owners() if entry else []

    def flush(self) -> FlowDiff:
        """Bring `flows` up to date and return the difference."""
        diff = FlowDiff([], [])
        for entry in self._dirty:
            before, now = entry.flow, self._merged(entry)
            if now is before:
                continue
            entry.flow = now
            if before is None:
                self._flows.count += 1
            if now is not None:
                diff.added.append(now)
            elif before is not None:
                self._flows.count -= 1
                diff.removed.append(before)
        self._dirty.clear()
        return diff

    def _one_by_one(self, owner: Owner) -> dict[_Entry, None]:
        held = self._held.get(owner, ())
        if isinstance(held, tuple):
            held = self._held[owner] = dict.fromkeys(held)
        return held

    def _merged(self, entry: _Entry) -> Flow | None:
        """The flow that the switch should hold for an entry. An entry without claims is deleted."""
        merged = entry.merged()
        if merged is None:
            del self._entries[entry.key]
        if self.left_out:
            self.left_out.pop(entry.key, None)
        if merged is not None and entry.is_overcrowded(merged):
            self.left_out[entry.key] = merged = None
        return merged

    def _add(self, owner: Owner, flow: Flow) -> _Entry:
        entry = self._entries.setdefault(flow.key, _Entry(flow.key))
        held = entry.claim_of(owner)
        if held is None or held.actions != flow.actions:
            entry.add(owner, flow)
            self._dirty[entry] = None
        return entry

    def _remove(self, owner: Owner, entry: _Entry) -> None:
        entry.remove(owner)
        self._dirty[entry] = None
