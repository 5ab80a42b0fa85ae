"""A peer that speaks broken OpenFlow: the controller goes on, and the real switch does not notice."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
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
CONNECTIONS = 2000
MESSAGES = 50
PATIENCE = 5.0
MOST_MEMORY_MIB = 20
STRANGER = 0xF00D
UNREAD = (FLOW_REMOVED, PORT_STATUS, 30, 31, 33, ECHO_REPLY)
"""What a switch may say at any time."""


class FakeSwitch:
    """One connection that behaves well up to a point, and badly from there on."""

    def __init__(self, port: int, random: Random, dpid: int) -> None:
        self._random = random
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._dpid = dpid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def run(self) -> None:
        """Say hello properly, mostly; then nonsense; the controller may hang up at any time."""
        with contextlib.suppress(OSError):
            data = b""
            if self._random.random() < 0.8:
                data += self._message(HELLO, b"", VERSION)
            if self._random.random() < 0.8:
                features = struct.pack("!QIBBHII", self._dpid, 0, 254, 0, 0, 0x4F, 0)
                data += self._message(FEATURES_REPLY, features, VERSION)
            careless = self._random.random() < 0.5
            data += b"".join(self._nonsense(careless) for _ in range(MESSAGES))
            self._socket.sendall(data)
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(1 << 16):
                pass

    def _nonsense(self, careless: bool) -> bytes:
        """Any kind with a body of zeros, ones or anything; careless ones lie about their lengths as well."""
        size = self._random.choice([0, 1, 4, 8, 16, 40, 56, 200, 9000])
        body = self._random.choice(
            [bytes(size), b"\xff" * size, b"\0\1" * (size // 2), self._random.randbytes(size)]
        )
        kind = self._random.choice(UNREAD if not careless else KINDS)
        if kind == MULTIPART_REPLY:
            head = self._random.choice([1, 1, 1, 0, 13, 65535]), self._random.choice([0, 1])
            body = struct.pack("!HH4x", *head) + body
        lie = self._random.choice([None] * 6 + [0, 1, 7, 8, 65535]) if careless else None
        version = self._random.choice([VERSION] * 20 + [1, 3, 4, 6]) if careless else VERSION
        return self._message(kind, body, version, lie)

    def _message(self, kind: int, body: bytes, version: int, lie: int | None = None) -> bytes:
        length = HEADER.size + len(body) if lie is None else lie
        return HEADER.pack(version, kind, length, self._random.choice([1, 2, 3, 0xFFFFFFFF])) + body


class Impatient(threading.Thread):
    """Somebody who asks the API again and again, and notes how long he waited."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._enough = threading.Event()
        self.waited: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        while not self._enough.wait(0.02):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            start = time.monotonic()
            try:
                connection.request("GET", "/v2.0/networks")
                if connection.getresponse().status != 200:
                    self.errors.append("not 200")
            except OSError as error:
                self.errors.append(repr(error))
            finally:
                connection.close()
            self.waited.append(time.monotonic() - start)

    def end(self) -> None:
        self._enough.set()
        self.join()


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


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
    pid, port = site.controller.pid, site.controller.openflow_port
    for number in range(CONNECTIONS // 20):
        with FakeSwitch(port, random, STRANGER + number % 3) as peer:
            peer.run()
    before = memory_mib(pid)
    impatient = Impatient(site.controller.wsapi_port)
    impatient.start()
    for number in range(CONNECTIONS):
        with FakeSwitch(port, random, STRANGER + number % 3) as peer:
            peer.run()
    impatient.end()
    grown = memory_mib(pid) - before
    longest = max(impatient.waited) * 1000
    print(f"{CONNECTIONS * MESSAGES} messages: {grown:.1f} MiB more, the API took {longest:.0f} ms at most")
    assert grown < MOST_MEMORY_MIB
    assert not impatient.errors
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
