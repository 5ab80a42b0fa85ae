"""A bridge without devices that takes compiled flows and traces packets through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from flows.flow import Flow, FlowDiff, FlowKey
from flows.wire import Installed
from lab.ovs import PrivateOvs
from tests.ovs.openflow import OpenFlow
from tests.ovs.tracing import Control, Trace


class DummyBridge:
    """A bridge with simulated ports, by name and OpenFlow number, and the flows it was given."""

    def __init__(self, ovs: PrivateOvs, name: str, ports: Mapping[str, int]) -> None:
        ovs.add_bridge(name, "fail_mode=secure", "protocols=OpenFlow14")
        for port, number in ports.items():
            ovs.add_port(name, port, f"ofport_request={number}")
        ovs.ofctl("set-frags", name, "nx-match")
        self.ovs = ovs
        self.name = name
        self.flows: Mapping[FlowKey, Flow] = {}
        self.openflow = OpenFlow(ovs.rundir / f"{name}.mgmt")
        (control,) = ovs.rundir.glob("ovs-vswitchd.*.ctl")
        self.control = Control(control)

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
