"""One simulated Open vSwitch for all tests of this folder: to start one takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.ovs import PrivateOvs
from tests.ovs.tally import TALLY


def pytest_unconfigure() -> None:
    if TALLY.pairs:
        print(TALLY)


@pytest.fixture(scope="session")
def simulated() -> Iterator[PrivateOvs]:
    """A running Open vSwitch without devices."""
    with PrivateOvs(dummy=True) as switch:
        yield switch
