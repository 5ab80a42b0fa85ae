"""Whether controllers are at work, and waiting for the switches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from sgctl.cli.command_session import CommandSession, plain_failures
from sgctl.cli.kinds import WITH_REPORTS, ObjectKind
from sgctl.cli.output.progress import progress
from sgctl.cli.output.terminal import Failure
from sgctl.service.transaction import Committed
from sgctl.store import Store
from sgctl.store.liveness import Silence, listen, namesake

NOT_ENFORCED = "no switch is connected: the policy is stored, and nothing enforces it"
_START_SECONDS = 0.7
"""How long a controller may take to start before a command that waits for it fails."""
_CHECK_SECONDS = 1.0
"""How often a command that waits checks whether controllers are still at work."""


def silence_of(session: CommandSession, grace: float = 0.0, here: bool = False) -> Silence:
    """The hosts where no controller is at work, of all hosts that have switches.

    `here` adds this machine, if it has bridges. `grace`: see `sgctl.store.liveness`. Raises Failure.
    """
    hosts = {switch.chassis for switch in session.store.switches.values()}
    local = session.local_if_any if here else None
    if local is not None and local.bridges:
        hosts.add(local.chassis)
    with plain_failures():
        return listen(session.store, hosts, grace)


def silent_hosts(session: CommandSession, kinds: Iterable[ObjectKind]) -> Mapping[str, str]:
    """Why no controller is at work, by host. Empty if none of these kinds shows controllers' reports."""
    return silence_of(session).hosts if any(kind in WITH_REPORTS for kind in kinds) else {}


def namesake_of(session: CommandSession) -> str:
    """The problem, if another host has the name of this machine; otherwise empty."""
    local = session.local_if_any
    return namesake(session.store, local.chassis, local.host_id) if local is not None else ""


def finish(session: CommandSession, committed: Committed, options: Mapping[str, Any]) -> None:
    """End a command that has changed the policy, as its options `--wait` and `--timeout` say.

    Without `--wait` it only checks that controllers are at work. Raises Failure.
    """
    if options["wait"]:
        _wait_until_applied(session, committed.generation, options["timeout"])
    else:
        _require_controllers(session)


def finish_here(session: CommandSession, wait: bool, timeout: float) -> None:
    """End a command that has changed this machine's interfaces. Raises Failure."""
    if wait:
        wait_for_everything(session, timeout, here=True)
    else:
        _require_controllers(session, here=True)


def wait_for_everything(session: CommandSession, timeout: float, here: bool = False) -> None:
    """Wait until the switches have everything that was applied, bound or declared before. Raises Failure."""
    with plain_failures():
        generation = session.store.commit(())  # a new generation also covers what was bound before it
    _wait_until_applied(session, generation, timeout, here)


def _require_controllers(session: CommandSession, grace: float = _START_SECONDS, here: bool = False) -> None:
    """Raise Failure with the hosts where no controller is at work."""
    silence = silence_of(session, grace, here)
    if silence.hosts:
        raise Failure(
            *(
                f"host {host}: {reason}; the policy is stored, and not enforced there"
                for host, reason in silence.hosts.items()
            )
        )
    if silence.problem:
        raise Failure(silence.problem)


def _wait_until_applied(session: CommandSession, generation: int, timeout: float, here: bool = False) -> None:
    """Wait until at least one switch is connected and every connected one has applied the generation.

    Also waits for a switch that cannot connect for a reason that its controller knows. Raises Failure after
    `timeout` seconds, and within a second where no controller is at work.
    """
    store, deadline = session.store, time.monotonic() + timeout
    with plain_failures(), progress("waiting for the switches"):
        while True:
            _require_controllers(session, min(timeout, _START_SECONDS), here or not store.switches)
            remaining = max(deadline - time.monotonic(), 0.0)
            late = _late(store, generation, min(remaining, _CHECK_SECONDS), timeout)
            if not late:
                return
            if remaining <= _CHECK_SECONDS:
                raise Failure(*late)


def _late(store: Store, generation: int, seconds: float, timeout: float) -> list[str]:
    """What is still missing after so many seconds, one line each. `timeout` is what the user gave."""
    lines: list[str] = []

    def done() -> bool:
        lines[:] = _missing(store, generation, f"after {timeout:g} s")
        return not lines

    store.wait_until(done, seconds)
    return lines


def _missing(store: Store, generation: int, when: str) -> list[str]:
    """The switches that have not applied the generation, and those that cannot connect."""
    switches = sorted(store.switches.items())
    off = [f"switch {key}: {each.error}" for key, each in switches if each.error and not each.connected]
    late = [
        f"switch {key} has not applied the policy {when}{each.error and f': {each.error}'}"
        for key, each in switches
        if each.connected and each.generation < generation
    ]
    nobody = [] if any(each.connected for _, each in switches) else [NOT_ENFORCED]
    return [*nobody, *off, *late]
