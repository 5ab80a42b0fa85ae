"""One controller for tests that do not affect each other, and a whole installation for real packets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.site import Site
from lab.workloads import Workloads
from tests.api.client import Client, Shell, client_environment, controller_with


@pytest.fixture(scope="session")
def controller(private_network: None) -> Iterator[Controller]:
    """`ryu-manager sgctl`, with a rate limit that no test reaches."""
    with controller_with("--sgctl-api-rate=100000") as running:
        yield running


@pytest.fixture(scope="session")
def api(controller: Controller) -> Client:
    return Client(controller.wsapi_port)


@pytest.fixture(scope="session")
def openstack(openstack_client: None, controller: Controller) -> Iterator[Shell]:
    """The OpenStack client, told by its environment where the controller is."""
    url = f"http://127.0.0.1:{controller.wsapi_port}"
    shell = Shell(
        client_environment(
            OS_AUTH_TYPE="none",
            OS_NETWORK_ENDPOINT_OVERRIDE=url,
            OS_COMPUTE_ENDPOINT_OVERRIDE=f"{url}/compute/v2.1",
            OS_IMAGE_ENDPOINT_OVERRIDE=url,
            OS_IDENTITY_ENDPOINT_OVERRIDE=f"{url}/identity/v3",
            OS_IDENTITY_API_VERSION="3",
        )
    )
    yield shell
    shell.close()


@pytest.fixture
def alone(private_network: None) -> Iterator[Controller]:
    """A controller for one test, which may break it."""
    with controller_with() as running:
        yield running


@pytest.fixture
def site(openstack_client: None, ovs: PrivateOvs, workloads: Workloads) -> Iterator[Site]:
    """A bridge with a controller whose API has the address in the repository's clouds.yaml."""
    with Controller(ovs.remote, options=["--wsapi-port=9696"]) as controller:
        site = Site(ovs, workloads, controller)
        site.add_bridge("br0")
        yield site
