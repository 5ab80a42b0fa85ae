"""A change that affects many ports is sent to the switch in parts, and takes effect as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.background_traffic import Datagrams
from lab.scenario.model import Document
from lab.site import ALL_OUT, Site, group
from tests.system.test_atomic import udp_in

pytestmark = pytest.mark.switch

OPEN_PORT, CROSSED_PORT = 6000, 6001
CLIENT, CROSSED, FILLERS = 1, 2, range(3, 63)
OPEN = 63
TURNS = 10
INTERRUPTIONS = 8


def state(site: Site, *, there: bool) -> list[Document]:
    """While the crossed workload is plugged in, the rules let no host reach it; while it is not, they would.

    So no packet ever arrives, unless the rules have changed and the workload's port has not.
    """
    moving = {number: f"w{number}" if there else f"away-{number}" for number in (CROSSED, *FILLERS)}
    return [
        group("client", ALL_OUT),
        group("open", udp_in(OPEN_PORT)),
        group("crossed", *([] if there else [udp_in(CROSSED_PORT)])),
        site.port_document(CLIENT, ["client"]),
        site.port_document(OPEN, ["open"]),
        *(site.port_document(number, ["crossed"], iface_id=name) for number, name in moving.items()),
    ]


@pytest.fixture
def crowded(site: Site) -> Iterator[Site]:
    for number in FILLERS:
        site.ovs.add_port("br0", f"filler{number}", "type=internal", f"external_ids:iface-id=w{number}")
    yield site
    for number in FILLERS:  # devices of this type are not removed with their switch
        site.ovs.vsctl("del-port", f"filler{number}")


def test_no_packet_meets_a_part_of_a_change(crowded: Site) -> None:
    client, crossed, server = (crowded.plug("br0", number) for number in (CLIENT, CROSSED, OPEN))
    crowded.apply(*state(crowded, there=True))
    refused = Datagrams(client, crossed, f"10.0.0.{CROSSED}", CROSSED_PORT)
    with refused, Datagrams(client, server, f"10.0.0.{OPEN}", OPEN_PORT) as allowed:
        for turn in range(TURNS):
            crowded.apply(*state(crowded, there=turn % 2 == 1))
        assert allowed.arrived > 100
        assert allowed.lost() == 0
        assert refused.arrived == 0


def test_a_connection_that_breaks_during_a_change_leaves_no_part_of_it(crowded: Site) -> None:
    for turn in range(INTERRUPTIONS):
        crowded.sgctl.apply(state(crowded, there=turn % 2 == 0))
        time.sleep(turn / 100)
        crowded.ovs.appctl("bridge/reconnect", "br0")
        crowded.sgctl.wait()
        assert crowded.sgctl("verify") == "br0: as expected\n"
