"""A switch that is busy with another client's large change answers late, and is not reported as dead."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from lab.ovs import PrivateOvs
from lab.site import Site
from sgctl.switch.echo_probe import ANSWER_SECONDS

pytestmark = pytest.mark.switch

FEWEST_FLOWS, MOST_FLOWS = 800_000, 1_600_000
"""The number of flows whose commit takes most of a second or more."""
FREE_TABLE = 200


def test_a_busy_switch_is_not_reported_as_dead(site: Site, tmp_path: Path) -> None:
    count, silences = FEWEST_FLOWS, [0.0]
    while max(silences) <= ANSWER_SECONDS:
        assert count <= MOST_FLOWS, "the switch was never busy for long enough to prove anything"
        with measured(site.ovs) as silences:
            ask_while_adding(site, flows(tmp_path, count))
        count *= 2


def flows(folder: Path, count: int) -> Path:
    """A file with `count` flows."""
    file = folder / "flows"
    addresses = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(count))
    file.write_text(
        "".join(f"table={FREE_TABLE},ip,nw_src={each},actions=drop\n" for each in addresses),
        encoding="ascii",
    )
    return file


@contextmanager
def measured(ovs: PrivateOvs) -> Iterator[list[float]]:
    """Measures how many seconds the switch's main thread takes for each of many answers."""
    seconds, ends = [0.0], Event()

    def measure() -> None:
        while not ends.is_set():
            begin = time.monotonic()
            ovs.appctl("version")
            seconds.append(time.monotonic() - begin)

    thread = Thread(target=measure)
    thread.start()
    try:
        yield seconds
    finally:
        ends.set()
        thread.join()


def ask_while_adding(site: Site, file: Path) -> None:
    """Run `sgctl status` repeatedly while the switch adds flows in one bundle."""
    target = site.ovs.rundir / "br0.mgmt"
    command: list[str | Path] = ["ovs-ofctl", "--bundle", "-O", "OpenFlow14", "add-flows", target, file]
    with subprocess.Popen(command) as adding:
        while adding.poll() is None:
            done = site.sgctl.run("status")
            assert done.returncode == 0, done
    assert adding.returncode == 0
