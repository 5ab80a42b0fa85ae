"""A program with a store and a switch watcher in green threads, and another thread that must keep running.

Arguments: the policy database's file and socket, the switch database's remote. It prints `ok` at the end.
"""

from __future__ import annotations

import sys
import warnings

warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
import eventlet  # noqa: E402

eventlet.monkey_patch()

import os  # noqa: E402
import signal  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from flows.policy.objects import Change, SecurityGroup  # noqa: E402
from sgctl.store import Store  # noqa: E402
from sgctl.store.server import PolicyServer  # noqa: E402
from sgctl.vswitch.local_switches import LocalSwitches  # noqa: E402
from tests.store.samples import new_id  # noqa: E402

gaps: list[float] = []
names: list[str] = []
bridges: list[str] = []


def heartbeat() -> None:
    """Measure for how long other threads keep this thread from running."""
    while True:
        before = time.monotonic()
        eventlet.sleep(0.005)
        gaps.append(time.monotonic() - before)


def follow_policy(store: Store) -> None:
    """Record the groups that appear."""
    while True:
        names.extend(change.new.name for change in store.run() if change.new is not None)
        store.block(10)


def follow_switches(local: LocalSwitches) -> None:
    """Record the bridges that appear."""
    while True:
        bridges[:] = [bridge.name for bridge in local.bridges.values()]
        local.block(10)
        local.run()


def write(store: Store, server: PolicyServer) -> None:
    """Commit groups before and after the server is killed."""
    for number in range(100):
        if number == 50:
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            while not server.ensure():
                time.sleep(0.01)
        store.commit([Change(None, SecurityGroup(new_id(), f"group{number}"))])


def main(database: str, socket: str, switch_remote: str) -> None:
    """Run all threads."""
    server = PolicyServer(Path(database), Path(socket))
    eventlet.spawn(heartbeat)
    server.start()
    writer, reader = Store.connect(server.remote), Store.connect(server.remote)
    local = LocalSwitches.connect(switch_remote)
    eventlet.spawn(follow_policy, reader)
    eventlet.spawn(follow_switches, local)
    write(writer, server)
    deadline = time.monotonic() + 5
    while (len(names) < 100 or not bridges) and time.monotonic() < deadline:
        eventlet.sleep(0.01)
    server.stop()
    assert names == [f"group{number}" for number in range(100)], names
    assert bridges == ["br0"], bridges
    assert len(gaps) > 20, gaps
    assert max(gaps) < 0.5, max(gaps)
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
