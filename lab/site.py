"""A complete installation for tests: a private switch, the controller, the command line, workloads."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from lab.controller import Controller
from lab.netns import Workload
from lab.ovs import PrivateOvs
from lab.policy_cli import PolicyCli
from lab.scenario.model import Document
from lab.workloads import Workloads

NETWORK = "blue"
_PATIENCE = 0.5


def document(kind: str, name: str, **spec: Any) -> Document:
    """A manifest for `sgctl apply`."""
    return {"apiVersion": "sgctl/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def group(name: str, *rules: dict[str, Any]) -> Document:
    """A security group's manifest."""
    return document("SecurityGroup", name, rules=list(rules))


def tcp_in(port: int, **remote: str) -> dict[str, Any]:
    """An ingress rule for one TCP port, from anywhere if no remote is given."""
    return {"direction": "ingress", "protocol": "tcp", "ports": port, **remote}


ALL_OUT: dict[str, Any] = {"direction": "egress"}


class Site:
    """Bridges under one controller. Workload number n (1–254) has 10.0.0.n, 2001:db8::n, 02:00:00:00:00:n."""

    def __init__(self, ovs: PrivateOvs, workloads: Workloads, controller: Controller) -> None:
        self.ovs = ovs
        self.controller = controller
        self.sgctl = PolicyCli(controller.environment)
        self._workloads = workloads

    def add_bridge(self, name: str) -> None:
        """Add a bridge that the controller manages."""
        self.ovs.add_bridge(name)
        self.ovs.vsctl("set-controller", name, self.controller.target)

    def apply(self, *documents: Document) -> None:
        """Apply documents, and return when every switch has them."""
        self.sgctl.apply(documents)
        self.sgctl.wait()

    def port_document(self, number: int, groups: Sequence[str], **more: Any) -> Document:
        """The manifest of workload `number`'s port, called `w<number>`; `more` are fields of its spec."""
        addresses = [f"10.0.0.{number}", f"2001:db8::{number:x}"]
        return document(
            "Port",
            f"w{number}",
            network=NETWORK,
            mac_address=mac(number),
            fixed_ips=addresses,
            security_groups=list(groups),
            **more,
        )

    def plug(self, bridge: str, number: int) -> Workload:
        """Make workload `number` and put it on a bridge, with the `iface-id` of its port."""
        addresses = [f"10.0.0.{number}/24", f"2001:db8::{number:x}/64"]
        return self._workloads.plug(bridge, f"w{number}", mac(number), addresses)

    def unplug(self, number: int) -> None:
        """Take the workload's interface off its bridge; the workload stays."""
        self.ovs.vsctl("del-port", f"w{number}")

    def replug(self, bridge: str, number: int) -> None:
        """Put the workload's interface back on a bridge, where it gets another OpenFlow port."""
        self.ovs.add_port(bridge, f"w{number}", f"external_ids:iface-id=w{number}")


def mac(number: int) -> str:
    """The MAC of workload `number`."""
    return f"02:00:00:00:00:{number:02x}"


def connects(source: Workload, target: Workload, address: str, port: int) -> bool:
    """Whether a TCP connection opens and carries data both ways."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source.forget_unanswered()
    with target.inside():
        listener = socket.create_server((address, port), family=family)
    with source.inside():
        client = socket.socket(family, socket.SOCK_STREAM)
    listener.settimeout(_PATIENCE)
    client.settimeout(_PATIENCE)
    with listener, client:
        try:
            client.connect((address, port))
            accepted, _ = listener.accept()
            with accepted:
                client.sendall(b"question")
                accepted.settimeout(_PATIENCE)
                accepted.sendall(accepted.recv(100))
                return client.recv(100) == b"question"
        except TimeoutError:
            return False


def echoes(source: Workload, target: Workload, address: str, port: int, size: int = 100) -> bool:
    """Whether a UDP datagram of `size` bytes arrives and its echo comes back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source.forget_unanswered()
    with target.inside():
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((address, port))
    with source.inside():
        client = socket.socket(family, socket.SOCK_DGRAM)
    server.settimeout(_PATIENCE)
    client.settimeout(_PATIENCE)
    with server, client:
        client.sendto(bytes(size), (address, port))
        try:
            data, sender = server.recvfrom(1 << 16)
            server.sendto(data, sender)
            return len(client.recv(1 << 16)) == size
        except TimeoutError:
            return False
