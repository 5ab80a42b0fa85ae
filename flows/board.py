"""Who wants which flow: claims per flow key, merged into the flows that the switch should hold.

Several owners may claim one key (clauses of many rules on one match; an address that two ports
share). The merged flow depends on the present claims only, never on the order in which they came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain

from flows.actions import Action, Conjunction
from flows.flow import Flow, FlowDiff, FlowKey
from flows.pipeline import LISTENERS, NEIGHBOUR, SHARED

Actions = tuple[Action, ...]
Owner = tuple[str, int | str] | tuple[str, int | str, int | str] | tuple[str, int | str, int | str, int | str]
"""What a flow is for: a kind and its key, e.g. ("rule", 17); sortable within a kind."""


Claims = tuple[Owner, Actions] | dict[Owner, Actions]
"""The claims on one key: nearly always it is one, and then without a dictionary of its own."""


def merge(key: FlowKey, claims: Claims) -> Actions:
    """The one action list for all claims on a key.

    Conjunction clauses add up, and so do the owners of a shared address and those who hear of each
    other; any other key goes to the claimant that sorts first.
    """
    if isinstance(claims, tuple):
        return claims[1]
    in_order = [actions for _, actions in sorted(claims.items())]
    if key.table == SHARED.id:
        return tuple(chain.from_iterable(in_order))
    if isinstance(in_order[0][0], Conjunction) or key.table in (NEIGHBOUR.id, LISTENERS.id):
        return tuple(dict.fromkeys(chain.from_iterable(in_order)))
    return in_order[0]


def _with(claims: Claims | None, owner: Owner, actions: Actions) -> Claims:
    """The claims and one more, or with another content."""
    if claims is None or (isinstance(claims, tuple) and claims[0] == owner):
        return owner, actions
    merged = dict([claims]) if isinstance(claims, tuple) else claims
    merged[owner] = actions
    return merged


def _without(claims: Claims, owner: Owner) -> Claims | None:
    """The claims without the owner's; None when no claim is left."""
    if isinstance(claims, tuple):
        return None if claims[0] == owner else claims
    claims.pop(owner, None)
    return next(iter(claims.items())) if len(claims) == 1 else claims


def _of(claims: Claims | None, owner: Owner) -> Actions | None:
    """What the owner claims."""
    if claims is None or isinstance(claims, dict):
        return claims.get(owner) if claims else None
    return claims[1] if claims[0] == owner else None


class Board:
    """Claims, and the flows that follow from them. `flush` yields what changed since the last one."""

    def __init__(self) -> None:
        self.flows: dict[FlowKey, Flow] = {}
        self._claims: dict[FlowKey, Claims] = {}
        self._keys_of: defaultdict[Owner, dict[FlowKey, None]] = defaultdict(dict)  # smaller than sets
        self._dirty: set[FlowKey] = set()

    def assign(self, owner: Owner, flows: Iterable[Flow]) -> None:
        """Make these the owner's flows, instead of all it had."""
        wanted = {flow.key: flow.actions for flow in flows}
        for key in self._keys_of.get(owner, {}).keys() - wanted.keys():
            self.withdraw(owner, key)
        for key, actions in wanted.items():
            self.claim(owner, key, actions)

    def claim(self, owner: Owner, key: FlowKey, actions: Actions) -> None:
        """Add one flow to the owner's, or change its actions."""
        claims = self._claims.get(key)
        if _of(claims, owner) != actions:
            self._claims[key] = _with(claims, owner, actions)
            self._keys_of[owner][key] = None
            self._dirty.add(key)

    def withdraw(self, owner: Owner, key: FlowKey) -> None:
        """Take one flow from the owner's; a flow it does not have is left alone."""
        claims = self._claims.get(key)
        if claims is None or _of(claims, owner) is None:
            return
        self._dirty.add(key)
        left = _without(claims, owner)
        if left is None:
            del self._claims[key]
        else:
            self._claims[key] = left
        keys = self._keys_of[owner]
        keys.pop(key, None)
        if not keys:
            del self._keys_of[owner]

    def release(self, owner: Owner) -> None:
        """Take all of the owner's flows."""
        self.assign(owner, ())

    def owners(self, key: FlowKey) -> list[Owner]:
        """Who claims a flow, in order."""
        claims = self._claims.get(key, {})
        return [claims[0]] if isinstance(claims, tuple) else sorted(claims)

    def flush(self) -> FlowDiff:
        """Bring `flows` up to date and return the difference."""
        diff = FlowDiff([], [])
        for key in self._dirty:
            self._settle(key, diff)
        self._dirty.clear()
        return diff

    def _settle(self, key: FlowKey, diff: FlowDiff) -> None:
        current = self.flows.get(key)
        claims = self._claims.get(key)
        if claims is None:
            if current is not None:
                del self.flows[key]
                diff.removed.append(current)
            return
        actions = merge(key, claims)
        if current is None or current.actions != actions:
            flow = Flow.at(key, actions)
            self.flows[key] = flow
            diff.added.append(flow)
