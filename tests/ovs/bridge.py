"""A bridge without a controller that loads compiled flows, traces packets and forwards frames."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

from flows.openflow.flow import Flow, FlowDiff, FlowKey
from flows.openflow.pipeline import FDB, HOLDER
from flows.openflow.reasons import Reason
from flows.openflow.wire import Installed
from lab.datapath import Datapath
from lab.drop_counts import drop_counts
from lab.ovs import PrivateOvs
from tests.ovs.lines import Cables, Captures, Lines
from tests.ovs.openflow import OpenFlow
from tests.ovs.tracing import Trace

_SHORTEST_BYTES = 60
"""Of a frame on Ethernet, without its check sequence (IEEE 802.3)."""


class BareBridge:
    """A bridge with ports, by name and OpenFlow number, and the flows it was given.

    The ports are simulated on the userspace datapath, and real devices on the kernel's.
    """

    def __init__(self, ovs: PrivateOvs, name: str, ports: Mapping[str, int]) -> None:
        self.ovs = ovs
        self.name = name
        ovs.add_bridge(name, "fail_mode=secure")  # the controller, which is not there, would see to it
        self._ports = tuple(ports)
        self._lines: Lines = (Cables if ovs.datapath is Datapath.KERNEL else Captures)(ovs, name, ports)
        for port, number in ports.items():
            ovs.add_port(name, port, f"ofport_request={number}", *self._lines.settings(port))
        ovs.ofctl("set-frags", name, "nx-match")
        self.flows: Mapping[FlowKey, Flow] = {}
        self.openflow = OpenFlow(ovs.rundir / f"{name}.mgmt")
        self.control = ovs.control()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.openflow, self.control:
            self.ovs.vsctl("del-br", self.name)
            self._lines.close()

    def load(self, flows: Mapping[FlowKey, Flow]) -> None:
        """Bring the bridge from the flows it has to these, in one bundle."""
        added = [flow for key, flow in flows.items() if self.flows.get(key) != flow]
        removed = [flow for key, flow in self.flows.items() if key not in flows]
        self.apply(FlowDiff(added, removed))
        self.flows = dict(flows)

    def apply(self, diff: FlowDiff) -> None:
        """Make one change of the flows, in one bundle."""
        self.openflow.bundle([*(flow.key for flow in diff.removed), *diff.added])

    def forget_places(self) -> None:
        """Delete the learned MACs."""
        for table in (HOLDER, FDB):
            self.ovs.ofctl("del-flows", self.name, f"table={table.id}")

    def installed(self) -> list[Installed]:
        """The flows that the bridge reports."""
        return self.openflow.installed()

    def trace(self, packet: str, tracked: Sequence[str] = ()) -> Trace:
        """Follow a packet, written as a flow of `ofproto/trace`; `tracked` are the `--ct-next` states."""
        states = [word for state in tracked for word in ("--ct-next", state)]
        return Trace.read(self.control.call("ofproto/trace", "--names", self.name, packet, *states))

    def frame(self, text: str) -> bytes:
        """The frame that a flow describes, in the notation of ovs-fields(7).

        ovs-ofctl finds fault with its own frames of neighbour discovery, so its exit code says nothing.
        """
        command = ["ovs-ofctl", "compose-packet", text]
        dump = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        octets = bytes.fromhex(
            "".join(line.partition(" ")[2].replace("-", " ") for line in dump.splitlines())
        )
        return octets.ljust(_SHORTEST_BYTES, b"\0")

    def send(self, port: str, frame: bytes) -> set[str]:
        """Inject a frame at a port; returns the ports through which it, or a copy, leaves."""
        before = {each: len(self._lines.sent(each)) for each in self._ports}
        self._lines.inject(port, frame)
        self._lines.settle()
        return {each for each in self._ports if len(self._lines.sent(each)) > before[each]}

    def drops(self) -> Counter[Reason]:
        """How many packets the bridge has dropped so far, by reason."""
        return drop_counts(self.ovs, self.name)
