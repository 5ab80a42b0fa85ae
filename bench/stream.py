"""A steady stream of changes: checks that none is lost, and measures how long each takes.

One client commits each change when it is due, and several changes in one transaction when it is late. A
change is finished when the client knows that the switch has confirmed it.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from bench.installation import Installation
from bench.record import Record
from bench.workload import BenchWorkload, interface, local_port, remote_member, tcp_rule
from flows.policy.objects import Change, PolicyObject
from lab.process import LabError

RATE = 1000
_ROUND = 2000
"""How many different objects are added and removed."""
_MOST_AT_ONCE = 50
_PATIENCE = 30.0


@dataclass
class _Waiting:
    """Changes that are committed and not confirmed: generation and due time of each."""

    queue: deque[tuple[int, list[float]]] = field(default_factory=deque)
    latencies: list[float] = field(default_factory=list)
    confirmations: int = 0

    def confirmed(self, generation: int) -> None:
        """Record that the switch has this generation."""
        now, news = time.perf_counter(), False
        while self.queue and self.queue[0][0] <= generation:
            self.latencies += [now - due for due in self.queue.popleft()[1]]
            news = True
        self.confirmations += news


def measure(record: Record) -> None:
    """Measure 1,000 changes a second for a minute, at W(400, 1000)."""
    seconds = 10 if record.quick else 60
    with Installation() as here:
        here.connect()
        here.plug([interface(number) for number in range(1, 401)])
        here.commit(BenchWorkload(400, 1000).additions())
        took, waiting = _stream(here, RATE * seconds)
        expected = _expected_flows(here)
        record.put("stream_rate", len(waiting.latencies) / took)
        record.put("stream_lost", RATE * seconds - len(waiting.latencies) + abs(here.flow_count() - expected))
        ordered = sorted(waiting.latencies)
        record.put("stream_p99", ordered[int(len(ordered) * 0.99)] * 1000)
        record.put("stream_coalesced", len(ordered) / waiting.confirmations)
        record.samples["stream/ours"] = [value * 1000 for value in ordered[:: max(1, len(ordered) // 1000)]]


def _object(number: int) -> PolicyObject:
    """An object by its number: rules with and without remote, members and local ports in turn."""
    kind, which = number % 4, number % _ROUND
    if kind == 0:
        return tcp_rule(20000 + which)
    if kind == 1:
        return tcp_rule(20000 + which, remote="sg2")
    return remote_member(5000 + which) if kind == 2 else local_port(5000 + which)


def _stream(here: Installation, count: int) -> tuple[float, _Waiting]:
    waiting, sent, start = _Waiting(), 0, time.perf_counter()
    while sent < count or waiting.queue:
        now = time.perf_counter() - start
        if now > count / RATE + _PATIENCE:
            break
        due = min(count - sent, int(now * RATE) - sent, _MOST_AT_ONCE)
        if due > 0:
            numbers = range(sent, sent + due)
            generation = here.store.commit([_change(here, number) for number in numbers])
            waiting.queue.append((generation, [start + number / RATE for number in numbers]))
            sent += due
        else:
            here.store.block(0.001)
        here.store.run()
        waiting.confirmed(min(switch.generation for switch in here.store.switches.values()))
    return time.perf_counter() - start, waiting


def _change(here: Installation, number: int) -> Change:
    """A change by its number: one round adds the objects, the next round removes them."""
    obj = _object(number)
    held = here.store.objects[type(obj)].get(obj.id)
    return Change(None, obj) if held is None else Change(held, None)


def _expected_flows(here: Installation) -> int:
    """How many flows the current policy has, as the controller reports after it confirmed the policy."""
    here.confirm()
    counts = {switch.flow_count for switch in here.store.switches.values()}
    if len(counts) != 1:
        raise LabError(f"one switch expected, not {len(counts)}")
    return counts.pop()
