"""One installation for all attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.attack_bench import AttackBench
from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.site import Site
from lab.workloads import Workloads


@pytest.fixture(scope="module")
def bench(private_network: None) -> Iterator[AttackBench]:
    """A switch, the controller, and all hosts of the attacks."""
    with (
        PrivateOvs() as ovs,
        Controller(ovs.remote) as controller,
        AttackBench(Site(ovs, Workloads(ovs), controller)) as bench,
    ):
        yield bench
