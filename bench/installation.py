"""sgctl on a simulated switch, on which thousands of ports are cheap; everything else is as in production."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from flows.policy.objects import Change
from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.process import LabError, wait_until
from lab.running import Running
from sgctl.store import Store
from sgctl.store.server import allocator

BRIDGE = "br0"
_PATIENCE = 300.0
_PORTS_AT_ONCE = 250


def add_interfaces(ovs: PrivateOvs, names: Sequence[str], bridge: str = BRIDGE) -> None:
    """Put devices on a bridge, with their names as `iface-id`; makes few calls for many devices."""
    for start in range(0, len(names), _PORTS_AT_ONCE):
        words: list[str] = []
        for name in names[start : start + _PORTS_AT_ONCE]:
            words += ["--", "add-port", bridge, name, "--", "set", "Interface", name]
            words += ["type=dummy", f"external_ids:iface-id={name}"]
        ovs.vsctl("--timeout=120", *words[1:])


class Installation(Running):
    """A private switch with bridge `br0`, the controller process, and a client of its database."""

    def __init__(self, ovs: PrivateOvs | None = None, options: Sequence[str] = ()) -> None:
        """Makes a simulated switch if `ovs` is None; `options` are command line options of the controller."""
        self.ovs = ovs or PrivateOvs(dummy=True, env=allocator())
        self.controller = Controller(self.ovs.remote, options=options)

    def start(self) -> None:
        """Start switch, controller and client; the switch is not connected to the controller yet."""
        self.ovs.start()
        self.ovs.add_bridge(BRIDGE, "fail_mode=secure")
        self.controller.start()
        self.store = Store.connect(self.controller.db)
        self.store.timeout = _PATIENCE

    def close(self) -> None:
        """Stop everything."""
        if hasattr(self, "store"):
            self.store.close()
        self.controller.close()
        self.ovs.close()

    def connect(self) -> None:
        """Connect the switch to the controller, and wait until it has the policy."""
        self.ovs.vsctl("set-controller", BRIDGE, self.controller.target)
        self.confirm()

    def plug(self, names: Sequence[str]) -> None:
        """Add devices and wait until the controller knows them all."""
        add_interfaces(self.ovs, names)
        self.wait_for_interfaces(names)

    def wait_for_interfaces(self, names: Iterable[str]) -> None:
        """Wait until the controller has reported these devices."""
        wanted = set(names)

        def known() -> bool:
            self.store.run()
            return wanted <= {name for _, name in self.store.bindings}

        wait_until(known, f"{len(wanted)} devices known to the controller", _PATIENCE)

    def commit(self, changes: Sequence[Change]) -> float:
        """Commit changes; seconds from the request until the client knows that the switch confirmed it."""
        start = time.perf_counter()
        generation = self.store.commit(changes)
        self.applied(generation)
        return time.perf_counter() - start

    def confirm(self) -> None:
        """Wait until the switch has applied all changes so far."""
        self.wait_connected(True)
        self.applied(self.store.commit(()))

    def flow_count(self) -> int:
        """How many flows the switch holds, by the switch's own count."""
        text = self.ovs.ofctl("dump-aggregate", BRIDGE)
        return int(text.rpartition("flow_count=")[2].split()[0])

    def dump(self, path: Path) -> int:
        """Write the switch's flows in the syntax that `ovs-ofctl` accepts; returns how many."""
        text = self.ovs.ofctl("--no-stats", "--no-names", "dump-flows", BRIDGE)
        lines = [line.strip() for line in text.splitlines() if "actions=" in line]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return len(lines)

    def wait_connected(self, connected: bool) -> None:
        """Wait until the controller reports that the switch is connected, or that it is not."""

        def so() -> bool:
            self.store.run()
            return any(switch.connected for switch in self.store.switches.values()) is connected

        wait_until(so, "switch connected" if connected else "switch disconnected", _PATIENCE)

    def applied(self, generation: int) -> None:
        """Wait until the switch has confirmed a generation."""
        lagging = self.store.wait_applied(generation, _PATIENCE)
        if lagging:
            raise LabError(f"{lagging}: generation {generation} not applied after {_PATIENCE:g} s")
