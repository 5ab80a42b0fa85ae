"""The session of one connected switch: reads its flows, compares them and changes them in atomic bundles.

A session is a green thread. It sends one bundle at a time; changes that come meanwhile are merged into the
next bundle. Source: OpenFlow 1.4 sections 7.3.9 (bundles) and 7.3.8 (barrier).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from flows.openflow import wire
from flows.openflow.flow import Flow, FlowDiff, FlowError, FlowKey
from flows.openflow.numbers import COOKIE_TAG
from sgctl import runtime
from sgctl.switch.bypass import BypassWatch
from sgctl.switch.channel import Channel
from sgctl.switch.exchange import SwitchRefused

LOG = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
BYPASS_SECONDS = 1.0
"""Between checks for flows of other programs that bypass the policy."""
DELETIONS = 2
"""How often the drop counters of an OpenFlow port are deleted when its policy port or uplink leaves it."""
SETTLE_SECONDS = 1.0
"""Between these deletions. Open vSwitch counts packets up to 0.5 s later (`other_config:max-revalidator`),
and such packets create the counter again."""

Expected = Callable[[], Mapping[FlowKey, Flow]]
Reporter = Callable[[int, str], None]
"""Called with the generation that the switch has confirmed, and the problems ("" for none)."""


class SwitchSession:
    """Makes the flows of one switch equal to the expected flows, and keeps them so.

    `expected` returns the flows that the switch should have now; it first completes a change that has begun.
    """

    def __init__(
        self,
        channel: Channel,
        generation: int,
        expected: Expected,
        report: Reporter,
        check_seconds: float | None = None,
        claim: Callable[[], None] = lambda: None,
    ) -> None:
        """All flows are compared after `check_seconds` without changes; None: only when the switch connects.

        `claim` is called before the switch is changed, and raises SwitchRefused if that is not allowed.
        """
        self._channel = channel
        self._claim = claim
        self._check_seconds = check_seconds
        self._expected = expected
        self._report = report
        self._pending: list[FlowDiff] = []
        self._more_to_come = False
        self._vacated: dict[int, int] = {}
        self._generation = self._taken = generation
        self._bypass = BypassWatch(channel)
        self._bypass_due = 0.0
        self._drifted = ""
        self._in_step = False
        self._closed = False
        self._work = runtime.Event()
        self._thread = runtime.spawn(self._run)

    def begin(self, part: FlowDiff) -> None:
        """Submit the first part of a change, which may be sent at once; `submit` must complete the change."""
        self._pending.append(part)
        self._more_to_come = True
        self._work.set()

    def submit(self, diff: FlowDiff | None, generation: int) -> None:
        """Request a change, None for no changes. Once it is done, the switch has `generation`."""
        self._generation = generation
        self._more_to_come = False
        if diff is not None:
            self._pending.append(diff)
            self._vacated.update(dict.fromkeys(diff.vacated, DELETIONS))
        self._work.set()

    def close(self) -> None:
        """End the session; the switch keeps its flows.

        A new green thread calls kill, because eventlet later wakes the calling thread once more, wherever it
        waits then.
        """
        self._closed = True
        runtime.spawn(self._thread.kill)

    def _run(self) -> None:
        while not self._closed:
            try:
                self._step()
            except (SwitchRefused, FlowError) as error:
                LOG.warning("switch %s: %s", self._channel.name, error)
                self._start_over(str(error))
            except Exception as error:  # the session must go on, and every failure must be reported
                LOG.exception("switch %s", self._channel.name)
                self._start_over(f"{type(error).__name__}: {error}")

    def _start_over(self, error: str) -> None:
        self._in_step = False
        self._report(-1, error)
        runtime.sleep(RETRY_SECONDS)

    def _step(self) -> None:
        due = self._in_step and not self._wait_for_work()
        self._work.clear()
        if not self._in_step:
            self._claim()
        installed = self._channel.installed() if due or not self._in_step else None
        if self._closed:
            return
        unasked = due and not self._work.is_set()
        if installed is None:
            edits, drifted = self._incoming_edits() if self._more_to_come else self._pending_edits(), 0
        else:
            edits = self._difference(installed, quiet=due)
            drifted = len(edits) if unasked else 0
        self._push(edits)
        self._in_step = True
        self._drifted = self._drift(drifted)
        self._report_status()
        self._check_bypass()

    def _wait_for_work(self) -> bool:
        """Wait for work; returns False when it is time to compare all flows instead."""
        until = math.inf if self._check_seconds is None else time.monotonic() + self._check_seconds
        while (left := until - time.monotonic()) > 0:
            if self._work.wait(min(BYPASS_SECONDS, left)):
                return True
            self._check_bypass()
        return False

    def _check_bypass(self) -> None:
        """Every BYPASS_SECONDS, check for flows that bypass the policy; report changes of the result."""
        if time.monotonic() < self._bypass_due or self._pending or self._more_to_come:
            return
        before = self._bypass.found
        self._bypass.check(len(self._expected()))
        self._bypass_due = time.monotonic() + BYPASS_SECONDS
        if self._bypass.found != before:
            self._report_status()

    def _report_status(self) -> None:
        self._report(self._taken, "; ".join(filter(None, [self._drifted, self._bypass.found])))

    def _push(self, edits: Iterator[wire.Edit] | list[wire.Edit]) -> None:
        """Push the edits, and delete the drop counters of vacated ports.

        Vacated ports are kept until that has succeeded: unlike flow edits, they cannot be computed again. A
        new session has none: it is unknown whether ports were vacated while there was no session.
        """
        vacated, self._vacated = self._vacated, {}
        counters = [each for ofport in vacated for each in wire.DropCounters.of_port(ofport)]
        if not edits and not counters:
            return
        try:
            self._channel.push([*edits, *counters] if isinstance(edits, list) else chain(edits, counters))
        except BaseException:
            self._vacated = vacated | self._vacated
            raise
        again = {ofport: left - 1 for ofport, left in vacated.items() if left > 1}
        if again:
            runtime.spawn_after(SETTLE_SECONDS, self._delete_counters_again, again)

    def _delete_counters_again(self, vacated: Mapping[int, int]) -> None:
        self._vacated = {**vacated, **self._vacated}
        self._work.set()

    def _pending_edits(self) -> list[wire.Edit]:
        """The edits since the last bundle; of several changes of one flow only the last."""
        pending, self._pending = self._pending, []
        self._taken = self._generation
        if len(pending) == 1:
            return list(_edits(pending[0]))
        merged: dict[FlowKey, Flow | None] = {}
        for diff in pending:
            merged.update(dict.fromkeys((flow.key for flow in diff.removed), None))
            merged.update({flow.key: flow for flow in diff.added})
        return [key if flow is None else flow for key, flow in merged.items()]

    def _incoming_edits(self) -> Iterator[wire.Edit]:
        """The edits since the last bundle, and those that still come until the change is complete."""
        while self._pending or self._more_to_come:
            pending, self._pending = self._pending, []
            for diff in pending:
                yield from _edits(diff)
            if self._more_to_come and not self._pending:
                self._work.wait()
                self._work.clear()
        self._taken = self._generation
        if self._vacated:  # the last part of the change may have vacated ports
            self._work.set()

    def _difference(self, installed: Sequence[wire.Installed], quiet: bool) -> list[wire.Edit]:
        """The edits that make the installed flows the expected ones.

        Flows of other programs and flows that the switch learned are kept. `quiet`: log only differences.
        """
        # Completes a change that has begun. No other green thread runs between this and `reconcile`.
        expected = self._expected()
        self._pending, self._taken = [], self._generation
        self._bypass.take(installed)
        missing, foreign = wire.reconcile(expected.values(), installed, COOKIE_TAG)
        counts = len(missing), len(foreign)
        if not quiet or any(counts):
            LOG.info("switch %s: %d flows to add, %d to remove", self._channel.name, *counts)
        return [*foreign, *missing]

    def _drift(self, count: int) -> str:
        """The text to report when a check found `count` differences without a change; empty for none."""
        if not count:
            return ""
        text = f"{count} flows were not as expected and have been corrected"
        LOG.warning("switch %s: %s", self._channel.name, text)
        return text


def _edits(diff: FlowDiff) -> Iterator[wire.Edit]:
    yield from (flow.key for flow in diff.removed)
    yield from diff.added
