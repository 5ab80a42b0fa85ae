"""Who wants which flow: claims per flow key, merged into the flows that the switch should hold.

Several owners may claim one key (clauses of many rules on one match; an address that two ports
share). The merged flow depends on the present claims only, never on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from flows.openflow.actions import Action, Conjunction, Output
from flows.openflow.flow import Flow, FlowDiff, FlowKey
from flows.openflow.pipeline import ALL_HOLDERS, LISTENERS, NEIGHBOUR, SHARED
from flows.policy.objects import Prefix

Actions = tuple[Action, ...]
Owner = tuple[str, int | str] | tuple[str, int, int | Prefix] | tuple[str, int, Prefix, int]
"""What a flow is for: a kind and its key, e.g. ("rule", 17); sortable within a kind."""

ADD_UP = frozenset({ALL_HOLDERS.id, NEIGHBOUR.id, SHARED.id, LISTENERS.id})
"""Tables in which every claimant gets what it wants."""

MOST_CLAIMS = {ALL_HOLDERS.id: 500, SHARED.id: 500}
"""On one flow. Open vSwitch looks a packet up 4,096 times at most and then drops it; a port that hears of
others takes up to 8 of them."""


def merge(key: FlowKey, claims: Mapping[Owner, Flow]) -> Actions:
    """The one action list for several claims on a key.

    Conjunction clauses add up, and so do the owners of a shared address and those who hear of each
    other; any other key goes to the claimant that sorts first.
    """
    in_order = [flow.actions for _, flow in sorted(claims.items(), key=lambda claim: claim[0])]
    if key.table in ADD_UP:
        return _added_up(in_order)
    if isinstance(in_order[0][0], Conjunction):
        return tuple(dict.fromkeys(chain.from_iterable(in_order)))
    return in_order[0]


def _added_up(claims: Iterable[Actions]) -> Actions:
    """All ports first: what follows them may change the packet, and is done once."""
    ports = (action for actions in claims for action in actions if isinstance(action, Output))
    rest = (tuple(action for action in actions if not isinstance(action, Output)) for actions in claims)
    return (*dict.fromkeys(ports), *chain.from_iterable(dict.fromkeys(rest)))


class _Entry:
    """A key, the claims on it, and the flow that the switch should hold there.

    Nearly always there is one claim: `owner` and `wanted`. Several are in `wanted`, by owner.
    """

    __slots__ = ("flow", "key", "owner", "wanted")

    def __init__(self, key: FlowKey) -> None:
        self.key = key
        self.owner: Owner | None = None
        self.wanted: Flow | dict[Owner, Flow] | None = None
        self.flow: Flow | None = None

    def claim_of(self, owner: Owner) -> Flow | None:
        """What the owner claims."""
        if isinstance(self.wanted, dict):
            return self.wanted.get(owner)
        return self.wanted if self.owner == owner else None

    def owners(self) -> list[Owner]:
        """Who has a claim, in order."""
        if isinstance(self.wanted, dict):
            return sorted(self.wanted)
        return [] if self.owner is None else [self.owner]

    def add(self, owner: Owner, flow: Flow) -> None:
        """One more claim, or one with another content."""
        first, wanted = self.owner, self.wanted
        if isinstance(wanted, dict):
            wanted[owner] = flow
        elif wanted is None or first is None or first == owner:
            self.owner, self.wanted = owner, flow
        else:
            self.owner, self.wanted = None, {first: wanted, owner: flow}

    def remove(self, owner: Owner) -> None:
        """Take back the owner's claim, which must be there."""
        if not isinstance(self.wanted, dict):
            self.owner = self.wanted = None
            return
        del self.wanted[owner]
        if len(self.wanted) == 1:
            ((self.owner, self.wanted),) = self.wanted.items()

    def merged(self) -> Flow | None:
        """The flow that follows from the claims; the one that is there when it says the same."""
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
    """The flows of all entries, by key; a dictionary of its own would be as large as that of the entries."""

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
    """Claims, and the flows that follow from them. `flush` yields what changed since the last one."""

    def __init__(self) -> None:
        self._entries: dict[FlowKey, _Entry] = {}
        # What owners get one by one is in dictionaries, which are smaller than sets.
        self._held: dict[Owner, tuple[_Entry, ...] | dict[_Entry, None]] = {}
        self._dirty: dict[_Entry, None] = {}
        self._flows = _MergedFlows(self._entries)
        self.left_out: dict[FlowKey, None] = {}
        """Where more is claimed than fits one flow, and none is. All others are not held up by it.

        Only what permits or delivers something adds up, so that without it less is permitted."""

    @property
    def flows(self) -> Mapping[FlowKey, Flow]:
        """The flows as of the last `flush`."""
        return self._flows

    def assign(self, owner: Owner, flows: Iterable[Flow]) -> None:
        """Make these the owner's flows, instead of all it had."""
        before = self._held.pop(owner, ())
        after = dict.fromkeys([self._add(owner, flow) for flow in flows])
        if after:
            self._held[owner] = tuple(after)
        for entry in before:
            if entry not in after:
                self._remove(owner, entry)

    def claim(self, owner: Owner, key: FlowKey, actions: Actions) -> None:
        """Add one flow to the owner's, or change its actions."""
        self._one_by_one(owner)[self._add(owner, Flow.at(key, actions))] = None

    def withdraw(self, owner: Owner, key: FlowKey) -> None:
        """Take one flow from the owner's; a flow it does not have is left alone."""
        entry = self._entries.get(key)
        if entry is None or entry.claim_of(owner) is None:
            return
        self._remove(owner, entry)
        held = self._one_by_one(owner)
        del held[entry]
        if not held:
            del self._held[owner]

    def release(self, owner: Owner) -> None:
        """Take all of the owner's flows."""
        self.assign(owner, ())

    def owners(self, key: FlowKey) -> list[Owner]:
        """Who claims a flow, in order."""
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
        """The flow that the switch should hold at an entry. An entry without claims is given up."""
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
