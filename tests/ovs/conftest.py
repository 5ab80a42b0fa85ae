"""One Open vSwitch for all tests of this folder, because starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import netns
from lab.datapath import DATAPATH, Datapath
from lab.ovs import PrivateOvs
from tests.ovs.tally import TALLY


def pytest_unconfigure() -> None:
    if TALLY.pairs:
        print(TALLY)


@pytest.fixture(scope="session")
def shared_ovs() -> Iterator[PrivateOvs]:
    """A running Open vSwitch; on the userspace datapath its devices are simulated."""
    simulated = DATAPATH is Datapath.USERSPACE
    if not simulated:
        netns.isolate()
    with PrivateOvs(dummy=simulated) as switch:
        yield switch
