"""Who may connect as a switch: strangers on the OpenFlow port are refused, and delay no real switch."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.cable import Cable
from lab.certificates import Authority
from lab.controller import Controller
from lab.netns import Namespace
from lab.ovs import PrivateOvs
from lab.process import run, wait_until
from lab.site import ALL_OUT, Site, group, tcp_in
from lab.workloads import Workloads

pytestmark = pytest.mark.switch

VERSION, HELLO, FEATURES_REQUEST, FEATURES_REPLY = 5, 0, 5, 6
FLOW_MOD, BUNDLE_CONTROL, BUNDLE_ADD = 14, 33, 34
HEADER = struct.Struct("!BBHI")
NOBODY = 65534
ENDLESS_HELLO = HEADER.pack(VERSION, HELLO, 16, 1) + struct.pack("!HHI", 2, 0, 0)
"""A HELLO with an element of length 0."""


Start = Callable[..., "subprocess.Popen[str]"]


def as_root(program: str, *arguments: object, preamble: str = "") -> subprocess.Popen[str]:
    """Run a Python program in a separate process."""
    text = f"import os, resource, socket, sys, time\n{preamble}{program}"
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def as_nobody(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Run the program as a user without rights."""
    drop = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    return as_root(program, *arguments, preamble=drop)


def flows_of_port(site: Site, port: int) -> bool:
    return f"tp_dst={port}" in site.ovs.ofctl("dump-flows", "br0")


def revokes(site: Site) -> None:
    """Add and remove a rule; the switch must follow."""
    site.apply(group("web", tcp_in(80), ALL_OUT))
    assert flows_of_port(site, 80)
    site.apply(group("web", ALL_OUT))
    assert not flows_of_port(site, 80)


@pytest.fixture
def served(site: Site) -> Site:
    """A site with a port and a rule, on a connected bridge."""
    site.apply(group("web", tcp_in(80), ALL_OUT), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    return site


def test_another_user_of_this_machine_is_disconnected(served: Site) -> None:
    program = """
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5) as peer:
    try:
        peer.sendall(bytes.fromhex(sys.argv[2]))
        print(len(peer.recv(100)))
    except ConnectionError:
        print(0)
"""
    peer = as_nobody(program, served.controller.openflow_port, ENDLESS_HELLO.hex())
    assert peer.communicate(timeout=10)[0] == "0\n"
    revokes(served)
    assert "refused a connection to the OpenFlow port: 127.0.0.1" in served.controller.log.read_text()


@pytest.mark.parametrize("message", [ENDLESS_HELLO, bytes(100), b"GET / HTTP/1.1\r\n\r\n"])
def test_a_broken_handshake_ends_the_connection(served: Site, message: bytes) -> None:
    """The peer runs as the switch's user, so it is not refused earlier."""
    with socket.create_connection(("127.0.0.1", served.controller.openflow_port), timeout=10) as peer:
        peer.sendall(message)
        with contextlib.suppress(ConnectionError):
            while peer.recv(1000):
                pass
        assert "no handshake within" not in served.controller.log.read_text(), "only the time limit closed it"
    revokes(served)


def test_a_silent_peer_is_disconnected(served: Site) -> None:
    with socket.create_connection(("127.0.0.1", served.controller.openflow_port), timeout=15) as peer:
        assert peer.recv(100)[1] == HELLO
        assert peer.recv(100) == b""


class Rogue:
    """Pretends to be a switch, and stores the messages that it gets."""

    def __init__(self, port: int, dpid: int) -> None:
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=5)
        features = struct.pack("!QIBB2xII", dpid, 0, 254, 0, 0x4F, 0)
        self.stream.sendall(HEADER.pack(VERSION, HELLO, 8, 1))
        self.stream.sendall(HEADER.pack(VERSION, FEATURES_REPLY, 8 + len(features), 2) + features)

    def kinds_until_the_end(self) -> set[int]:
        data = b""
        with contextlib.suppress(ConnectionError):
            while chunk := self.stream.recv(1 << 16):
                data += chunk
        self.stream.close()
        return set(kinds(data))


def kinds(data: bytes) -> Iterator[int]:
    while len(data) >= HEADER.size:
        _, kind, length, _ = HEADER.unpack_from(data)
        yield kind
        data = data[max(length, HEADER.size) :]


def dpid_of(site: Site) -> int:
    return int(site.ovs.vsctl("get", "Bridge", "br0", "datapath_id").strip().strip('"'), 16)


def test_a_switch_that_answers_is_not_replaced(served: Site) -> None:
    rogue = Rogue(served.controller.openflow_port, dpid_of(served))
    served.apply(group("web", ALL_OUT))
    assert not flows_of_port(served, 80), "the real switch is served"
    assert not {FLOW_MOD, BUNDLE_CONTROL, BUNDLE_ADD} & rogue.kinds_until_the_end()
    assert "refused a second connection of switch" in served.controller.log.read_text()
    revokes(served)


def test_a_switch_that_no_longer_answers_is_replaced_and_served_again(served: Site) -> None:
    """The rogue replaces the switch and then ends; the controller connects to the bridge again at once."""
    pid = int((served.ovs.rundir / "ovs-vswitchd.pid").read_text())
    dpid = dpid_of(served)
    log = served.controller.log
    connections = log.read_text().count(" connected")
    os.kill(pid, signal.SIGSTOP)
    try:
        rogue = Rogue(served.controller.openflow_port, dpid)
        wait_until(lambda: log.read_text().count(" connected") > connections, "the rogue is connected")
        rogue.stream.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    revokes(served)
    assert served.sgctl("verify") == "br0: as expected\n"


CROWD = """
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = []
for number in range(1300):
    try:
        held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5))
    except OSError:
        pass
print(len(held), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("start", [as_nobody, as_root])
def test_many_connections_delay_no_switch(served: Site, start: Start) -> None:
    crowd = start(CROWD, served.controller.openflow_port)
    try:
        assert crowd.stdout is not None
        assert int(crowd.stdout.readline()) > 1000
        revokes(served)
        served.ovs.vsctl("del-controller", "br0")
        served.ovs.vsctl("set-controller", "br0", served.controller.target)
        revokes(served)
    finally:
        crowd.kill()
        crowd.communicate()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue("controller")
    return made


class Abroad:
    """A network with another machine, and a controller that listens in it with a certificate."""

    ADDRESS, HERE = "192.0.2.9", "192.0.2.1"

    def __init__(self, host: Namespace, controller: Controller, authority: Authority) -> None:
        self.host = host
        self.controller = controller
        self._authority = authority

    def greeted(self, certificate: tuple[Path, Path] | None) -> bool:
        """Whether a switch on the other machine with this certificate gets a HELLO."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self._authority.certificate)
        context.check_hostname = False
        if certificate:
            key, chain = certificate
            context.load_cert_chain(chain, key)
        with self.host.inside():
            stream = socket.socket()
        stream.settimeout(10)
        try:
            stream.connect((self.HERE, self.controller.openflow_port))
            with context.wrap_socket(stream) as secured:
                return secured.recv(100)[1:2] == bytes([HELLO])
        except OSError:
            return False
        finally:
            stream.close()

    def serial(self) -> int:
        """The serial number of the controller's certificate."""
        with self.host.inside():
            text = ssl.get_server_certificate((self.HERE, self.controller.openflow_port))
        return int(run(["openssl", "x509", "-noout", "-serial"], stdin=text).strip().partition("=")[2], 16)


@pytest.fixture
def abroad(ovs: PrivateOvs, authority: Authority) -> Iterator[Abroad]:
    options = [
        "--ofp-listen-host=0.0.0.0",
        f"--ctl-privkey={authority.directory}/controller.key",
        f"--ctl-cert={authority.directory}/controller.pem",
        f"--ca-certs={authority.certificate}",
        "--sgctl-openflow-names=switch-1.example.org,switch-2",
    ]
    host = Namespace("abroad")
    cable = Cable("wire", {host: f"{Abroad.ADDRESS}/24"}, home=f"{Abroad.HERE}/24")
    with cable, Controller(ovs.remote, options=options) as controller:
        yield Abroad(host, controller, authority)
    host.remove()


def test_switches_of_other_machines_show_a_certificate(
    abroad: Abroad, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    right, named = authority.issue("switch-1.example.org"), authority.issue("x", alternative="DNS:switch-2")
    for _ in range(3):
        assert abroad.greeted(right)
    assert abroad.greeted(named)
    assert not abroad.greeted(None)
    assert not abroad.greeted(authority.issue("switch-3"))
    assert not abroad.greeted(other.issue("switch-1.example.org"))
    silent = [
        socket.create_connection(("127.0.0.1", abroad.controller.openflow_port), timeout=5) for _ in range(40)
    ]
    assert abroad.greeted(right), "peers that do not start TLS delay nobody"
    for each in silent:
        each.close()


def test_certificates_are_renewed_without_a_restart(abroad: Abroad, authority: Authority) -> None:
    before = abroad.serial()
    authority.issue("controller")
    assert abroad.serial() != before
    (authority.directory / "controller.pem").write_text("broken")
    assert not abroad.greeted(None)
    authority.issue("controller")
    assert abroad.greeted(authority.issue("switch-2"))


def test_a_real_switch_connects_with_tls(ovs: PrivateOvs, workloads: Workloads, authority: Authority) -> None:
    """A local switch needs no certificate with a name; earlier connections do not prevent its connection."""
    key, certificate = authority.issue("whatever")
    options = [f"--ctl-privkey={key}", f"--ctl-cert={certificate}", f"--ca-certs={authority.certificate}"]
    with Controller(ovs.remote, options=options) as controller:
        ovs.vsctl("set-ssl", str(key), str(certificate), str(authority.certificate))
        for bridge in ("br0", "br1"):
            ovs.add_bridge(bridge)
            ovs.vsctl("set-controller", bridge, f"ssl:127.0.0.1:{controller.openflow_port}")
        wait_until(
            lambda: ovs.vsctl("--columns=is_connected", "list", "Controller").count("true") == 2,
            "both connect",
        )
        Site(ovs, workloads, controller).sgctl.wait()


def test_plain_connections_from_other_machines_need_to_be_allowed(ovs: PrivateOvs) -> None:
    host = Namespace("abroad")
    for options, welcome in ([], False), (["--sgctl-openflow-peers=198.51.100.1, 192.0.2.0/28"], True):
        cable = Cable("wire", {host: f"{Abroad.ADDRESS}/24"}, home=f"{Abroad.HERE}/24")
        with cable, Controller(ovs.remote, options=["--ofp-listen-host=0.0.0.0", *options]) as controller:
            with host.inside():
                stream = socket.socket()
            stream.settimeout(5)
            with stream, contextlib.suppress(ConnectionError):
                stream.connect((Abroad.HERE, controller.openflow_port))
                assert bool(stream.recv(100)) == welcome
    host.remove()
