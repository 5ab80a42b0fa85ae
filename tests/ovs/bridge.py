"""A bridge without devices that takes compiled flows and traces packets through them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from flows.flow import Flow, FlowDiff, FlowKey
from flows.wire import Installed
from lab.ovs import PrivateOvs
from tests.ovs.openflow import OpenFlow
from tests.ovs.tracing import Trace


class DummyBridge:
    """A bridge with simulated ports, by name and OpenFlow number, and the flows it was given."""

    def __init__(self, ovs: PrivateOvs, name: str, ports: Mapping[str, int]) -> None:
        self.ovs = ovs
        self.name = name
        ovs.add_bridge(name, "fail_mode=secure")  # the controller, which is not there, would see to it
        for port, number in ports.items():
            ovs.add_port(name, port, f"ofport_request={number}", f"options:tx_pcap={self._capture(port)}")
        ovs.ofctl("set-frags", name, "nx-match")
        self.flows: Mapping[FlowKey, Flow] = {}
        self.openflow = OpenFlow(ovs.rundir / f"{name}.mgmt")
        self.control = ovs.control()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.openflow, self.control:
            self.ovs.vsctl("del-br", self.name)

    def load(self, flows: Mapping[FlowKey, Flow]) -> None:
        """Bring the bridge from the flows it has to these, in one bundle."""
        added = [flow for key, flow in flows.items() if self.flows.get(key) != flow]
        removed = [flow for key, flow in self.flows.items() if key not in flows]
        self.apply(FlowDiff(added, removed))
        self.flows = dict(flows)

    def apply(self, diff: FlowDiff) -> None:
        """Make one change of the flows, in one bundle."""
        self.openflow.bundle([*(flow.key for flow in diff.removed), *diff.added])

    def installed(self) -> list[Installed]:
        """What the bridge says it holds."""
        return self.openflow.installed()

    def trace(self, packet: str, tracked: Sequence[str] = ()) -> Trace:
        """Follow a packet, written as a flow of `ofproto/trace`; `tracked` are the `--ct-next` states."""
        states = [word for state in tracked for word in ("--ct-next", state)]
        return Trace.read(self.control.call("ofproto/trace", "--names", self.name, packet, *states))

    def inject(self, port: str, frame: bytes) -> None:
        """Let a frame come in from what is attached to a port."""
        self.control.call("netdev-dummy/receive", port, frame.hex())

    def sent(self, port: str) -> list[bytes]:
        """All frames that went out to what is attached to a port, so far."""
        return list(_frames(self._capture(port).read_bytes()))

    def _capture(self, port: str) -> Path:
        return self.ovs.rundir / f"{self.name}-{port}.pcap"


def _frames(capture: bytes) -> Iterator[bytes]:
    """The frames of a capture file in the byte order of this machine (pcap-savefile(5))."""
    offset = 24
    while offset + 16 <= len(capture):
        (length,) = struct.unpack_from("=I", capture, offset + 8)
        yield capture[offset + 16 : offset + 16 + length]
        offset += 16 + length
