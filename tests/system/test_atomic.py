"""A manifest is one change: the switch never processes a packet with half of it."""

from __future__ import annotations

from typing import Any

import pytest

from lab.background_traffic import Datagrams
from lab.scenario.model import Document
from lab.site import ALL_OUT, Site, document, group

pytestmark = pytest.mark.switch

OPEN_PORT, CROSSED_PORT = 6000, 6001
FILLER = 150
TURNS = 6


def udp_in(port: int, **remote: Any) -> dict[str, Any]:
    return {"direction": "ingress", "protocol": "udp", "ports": port, **remote}


def state(site: Site, here: str, there: str) -> list[Document]:
    """The client is in one of two groups, and only the other group may reach the crossed port.

    So the crossed port is closed before and after every change, and open only if half of a change is applied.
    """
    filler = [
        group(f"filler-{number}", udp_in(10000 + number, remote_group=here)) for number in range(FILLER)
    ]
    return [
        group("left", ALL_OUT),
        group("right", ALL_OUT),
        *filler[: FILLER // 2],
        site.port_document(1, [here]),
        *filler[FILLER // 2 :],
        group("server", udp_in(OPEN_PORT, remote_group=here), udp_in(CROSSED_PORT, remote_group=there)),
        site.port_document(2, ["server", *(f"filler-{number}" for number in range(FILLER))]),
        document("AddressGroup", "unused", addresses=["192.0.2.1"]),
    ]


def test_no_packet_meets_half_of_a_manifest(site: Site) -> None:
    site.apply(*state(site, "left", "right"))
    client, server = site.plug("br0", 1), site.plug("br0", 2)
    site.sgctl.wait()
    crossed = Datagrams(client, server, "10.0.0.2", CROSSED_PORT)
    with crossed, Datagrams(client, server, "10.0.0.2", OPEN_PORT) as allowed:
        for turn in range(TURNS):
            site.apply(*state(site, *(("right", "left") if turn % 2 == 0 else ("left", "right"))))
        assert allowed.arrived > 100
        assert allowed.lost() == 0
        assert crossed.arrived == 0
