"""A peer that speaks broken OpenFlow: the controller goes on, and the real switch does not notice."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from random import Random
from typing import Self

import pytest

from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.site import NETWORK, Site, document, group, tcp_in
from lab.workloads import Workloads

pytestmark = pytest.mark.switch

VERSION = 5
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REPLY, PORT_STATUS = 0, 1, 2, 3, 6, 12
PACKET_IN, FLOW_REMOVED, MULTIPART_REPLY, BARRIER_REPLY, ROLE_REPLY = 10, 11, 19, 21, 25
WELL_KNOWN = (HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REPLY, PORT_STATUS, PACKET_IN, FLOW_REMOVED)
KINDS = (*WELL_KNOWN, MULTIPART_REPLY, BARRIER_REPLY, ROLE_REPLY, 8, 33, 34, 99, 255)
HEADER = struct.Struct("!BBHI")
CONNECTIONS = 60
STRANGER = 0xF00D


class FakeSwitch:
    """One connection that behaves well up to a point, and badly from there on."""

    def __init__(self, port: int, random: Random, dpid: int) -> None:
        self._random = random
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=0.5)
        self._dpid = dpid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def run(self) -> None:
        """Say hello properly, mostly; then nonsense; the controller may hang up at any time."""
        with contextlib.suppress(OSError):
            if self._random.random() < 0.8:
                self._send(HELLO, b"")
            if self._random.random() < 0.8:
                self._send(FEATURES_REPLY, struct.pack("!QIBBHII", self._dpid, 0, 254, 0, 0, 0x4F, 0))
                self._send(MULTIPART_REPLY, struct.pack("!HH4x", 13, 0))  # port descriptions: none
                self._socket.recv(1 << 16)
            for _ in range(self._random.randint(1, 12)):
                self._nonsense()

    def _nonsense(self) -> None:
        body = self._random.randbytes(self._random.choice([0, 1, 4, 8, 16, 40, 56, 200]))
        kind = self._random.choice(KINDS)
        if kind == MULTIPART_REPLY:
            body = (
                struct.pack(
                    "!HH4x", self._random.choice([1, 1, 1, 0, 13, 65535]), self._random.choice([0, 1])
                )
                + body
            )
        self._send(kind, body, lie=self._random.choice([None] * 6 + [0, 7, 8, 65535]))

    def _send(self, kind: int, body: bytes, lie: int | None = None) -> None:
        length = HEADER.size + len(body) if lie is None else lie
        version = VERSION if self._random.random() < 0.95 else self._random.randrange(256)
        self._socket.sendall(
            HEADER.pack(version, kind, length, self._random.choice([1, 2, 3, 0xFFFFFFFF])) + body
        )


@pytest.fixture
def site(ovs: PrivateOvs, workloads: Workloads) -> Iterator[Site]:
    with Controller(ovs.remote) as controller:
        made = Site(ovs, workloads, controller)
        made.add_bridge("br0")
        made.apply(document("Network", NETWORK, subnets=["10.0.0.0/24", "2001:db8::/64"]))
        yield made


def test_nonsense_does_not_stop_the_controller(site: Site) -> None:
    random = Random(5)
    site.apply(group("web", tcp_in(80)), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    pid = site.controller.pid
    for number in range(CONNECTIONS):
        with FakeSwitch(site.controller.openflow_port, random, STRANGER + number % 3) as peer:
            peer.run()
    site.apply(group("web", tcp_in(443)))
    assert site.controller.pid == pid
    assert site.sgctl("verify") == "br0: as expected\n"
    assert "the control loop failed" not in site.controller.log.read_text()
    names = site.sgctl("get", "switches", "-o", "name")
    assert names.endswith("/br0\n")
    assert names.count("\n") == 1, "a stranger is no switch of this host"


def test_a_stranger_is_told_nothing(site: Site) -> None:
    """A datapath that the switch database does not know gets no flows of anybody."""
    site.apply(group("web", tcp_in(80)), site.port_document(1, ["web"]))
    with socket.create_connection(("127.0.0.1", site.controller.openflow_port), timeout=1.0) as peer:
        peer.sendall(HEADER.pack(VERSION, HELLO, 8, 1))
        features = struct.pack("!QIBBHII", STRANGER, 0, 254, 0, 0, 0x4F, 0)
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
