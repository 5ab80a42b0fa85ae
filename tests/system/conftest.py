"""One installation per test: controller, bridge `br0`, network `blue`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.site import NETWORK, Site, document
from lab.workloads import Workloads


@pytest.fixture
def controller(ovs: PrivateOvs) -> Iterator[Controller]:
    """`ryu-manager sgctl` that serves its policy database itself."""
    with Controller(ovs.remote) as running:
        yield running


@pytest.fixture
def empty_site(ovs: PrivateOvs, workloads: Workloads, controller: Controller) -> Site:
    """A site with only the controller."""
    return Site(ovs, workloads, controller)


@pytest.fixture
def site(empty_site: Site) -> Site:
    """A site with a bridge and a network, without groups and ports."""
    empty_site.add_bridge("br0")
    empty_site.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]))
    return empty_site
