"""A peer that sends malformed OpenFlow: the controller keeps working, and the real switch is not affected."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from random import Random

import pytest

from lab.controller import Controller
from lab.fuzz_openflow import (
    ERROR,
    FEATURES,
    FEATURES_REPLY,
    HEADER,
    HELLO,
    MULTIPART_REPLY,
    PORT_STATUS,
    STRANGER,
    VERSION,
    FakeSwitch,
    Impatient,
    memory_mib,
)
from lab.ovs import PrivateOvs
from lab.site import NETWORK, Site, document, group, tcp_in
from lab.workloads import Workloads

pytestmark = pytest.mark.switch

CONNECTIONS = 2000
MOST_MEMORY_MIB = 20


@pytest.fixture
def site(ovs: PrivateOvs, workloads: Workloads) -> Iterator[Site]:
    with Controller(ovs.remote) as controller:
        made = Site(ovs, workloads, controller)
        made.add_bridge("br0")
        made.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]))
        yield made


def test_malformed_messages_do_not_stop_the_controller(site: Site) -> None:
    random = Random(5)
    site.apply(group("web", tcp_in(80)), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    pid, port = site.controller.pid, site.controller.openflow_port
    for number in range(CONNECTIONS // 20):
        with FakeSwitch(port, random, STRANGER + number % 3) as peer:
            peer.run()
    before = memory_mib(pid)
    with Impatient(site.controller.wsapi_port) as impatient:
        for number in range(CONNECTIONS):
            with FakeSwitch(port, random, STRANGER + number % 3) as peer:
                peer.run()
        for kind in (ERROR, PORT_STATUS):
            with FakeSwitch(port, random, STRANGER) as peer:
                peer.repeat(kind, bytes(4), CONNECTIONS)
    assert memory_mib(pid) - before < MOST_MEMORY_MIB
    assert not impatient.errors
    log = site.controller.log.read_text()
    assert log.count("refused an earlier request") <= 1, "a peer cannot fill the log"
    site.apply(group("web", tcp_in(443)))
    assert site.controller.pid == pid
    assert site.sgctl("verify") == "br0: as expected\n"
    assert "the control loop failed" not in site.controller.log.read_text()
    names = site.sgctl("get", "switches", "-o", "name")
    assert names.endswith("/br0\n")
    assert names.count("\n") == 1, "an unknown datapath is no switch of this host"


def test_an_unknown_datapath_gets_no_flows(site: Site) -> None:
    """A datapath that is not in the switch database gets no flows."""
    site.apply(group("web", tcp_in(80)), site.port_document(1, ["web"]))
    with socket.create_connection(("127.0.0.1", site.controller.openflow_port), timeout=1.0) as peer:
        peer.sendall(HEADER.pack(VERSION, HELLO, 8, 1))
        features = FEATURES.pack(STRANGER, 0, 254, 0, 0, 0x4F, 0)
        peer.sendall(HEADER.pack(VERSION, FEATURES_REPLY, 8 + len(features), 2) + features)
        peer.sendall(HEADER.pack(VERSION, MULTIPART_REPLY, 16, 3) + struct.pack("!HH4x", 13, 0))
        received = b""
        with contextlib.suppress(TimeoutError):
            while chunk := peer.recv(1 << 16):
                received += chunk
    flow_mods_and_bundles = {14, 33, 34}
    assert not flow_mods_and_bundles & set(message_kinds(received))


def message_kinds(data: bytes) -> Iterator[int]:
    while len(data) >= HEADER.size:
        _, kind, length, _ = HEADER.unpack_from(data)
        yield kind
        data = data[max(length, HEADER.size) :]
