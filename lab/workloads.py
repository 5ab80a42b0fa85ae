"""Workloads on a private switch, and their removal together."""

from __future__ import annotations

from collections.abc import Sequence

from lab.netns import Namespace, Workload
from lab.ovs import PrivateOvs


class Workloads:
    """The workloads on a switch's bridges, by name. `host` is the switch's namespace, by default ours."""

    def __init__(self, ovs: PrivateOvs, host: Namespace | None = None) -> None:
        self._ovs = ovs
        self._host = host
        self.by_name: dict[str, Workload] = {}

    def plug(self, bridge: str, name: str, mac: str, addresses: Sequence[str]) -> Workload:
        """Make a workload and put it on `bridge`, with `name` as its interface's `iface-id`."""
        workload = self.by_name[name] = Workload(name, mac, addresses, self._host)
        self._ovs.add_port(bridge, name, f"external_ids:iface-id={name}")
        return workload

    def close(self) -> None:
        """Remove all workloads."""
        while self.by_name:
            self.by_name.popitem()[1].remove()
