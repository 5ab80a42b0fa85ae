"""A scenario's topology in Mininet: switches, hosts, cables, addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import OVSBridge, OVSSwitch, RemoteController

from lab.datapath import DATAPATH, Datapath, fill_in_checksums
from lab.process import run
from lab.scenario.model import Address, ScenarioHost, ScenarioInterface, Topology

_NAME_LENGTH = 15
"""Linux device names have at most 15 characters."""
_HOST_SETTINGS = (
    # On a host with several cards, each card answers ARP for its own addresses only.
    "net.ipv4.conf.all.arp_ignore=1",
    "net.ipv4.conf.all.arp_announce=2",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv6.conf.all.disable_ipv6=0",
    "net.ipv6.conf.default.disable_ipv6=0",
    "net.ipv4.icmp_ratelimit=0",
)


class _RunningController(RemoteController):  # type: ignore[misc]  # Mininet has no types
    """A controller that is known to listen.

    Mininet would connect with telnet and decode the answer as text; a controller answers with OpenFlow, which
    is rarely valid text.
    """

    def checkListening(self) -> None:  # noqa: N802 - Mininet's name
        """Nothing to check."""


class Wiring:
    """A running Mininet. Enter an isolated network and set OVS_RUNDIR first (`lab.sandbox`, `lab.ovs`).

    `controller_port` is the OpenFlow port on 127.0.0.1 that managed switches connect to. With None they have
    no controller and no protection: every bridge forwards everything.
    """

    def __init__(self, topology: Topology, controller_port: int | None) -> None:
        setLogLevel("output")
        Mininet.inited = True  # skips Mininet's set-up, which raises limits of the whole machine
        self.topology = topology
        self._controller_port = controller_port
        self._names: set[str] = set(topology.switches)
        self.net: Any = Mininet(controller=None, build=False)
        self.ports: dict[str, str] = {}
        """Switch-side device → policy port."""
        self.uplinks: dict[str, tuple[str, ...]] = {}
        """Switch-side device on a managed switch → networks behind it."""
        self._access_vlans: dict[str, int] = {}

    def start(self) -> None:
        """Build and start everything; hosts have their addresses when it returns."""
        if self._controller_port is not None:
            self.net.addController("c0", _RunningController, ip="127.0.0.1", port=self._controller_port)
        for number, name in enumerate(self.topology.switches, 1):
            self._add_switch(number, name)
        for host in self.topology.hosts.values():
            self._add_host(host)
        for link in self.topology.links:
            self._add_link(link.ends, link.networks)
        self.net.start()
        for device, vlan in self._access_vlans.items():
            run(["ovs-vsctl", "set", "Port", device, f"tag={vlan}"])
        for host in self.topology.hosts.values():
            self._configure(host)

    def enter(self, host: str) -> list[str]:
        """The command prefix that runs a program in a host's network namespace."""
        return ["mnexec", "-a", str(self.net[host].pid)]

    def stop(self) -> None:
        """Stop and remove everything."""
        self.net.stop()

    def _is_protected(self, switch: str) -> bool:
        return self.topology.switches[switch] and self._controller_port is not None

    def _add_switch(self, number: int, name: str) -> None:
        """Add a bridge; one that is not managed forwards as a learning switch."""
        self.net.addSwitch(
            name,
            cls=OVSSwitch if self._is_protected(name) else OVSBridge,
            dpid=f"{number:016x}",
            datapath="kernel" if DATAPATH is Datapath.KERNEL else "user",
        )

    def _add_host(self, host: ScenarioHost) -> None:
        self.net.addHost(host.name, ip=None)
        for card in host.interfaces:
            device = self._device(f"{host.switch}-{host.name}" if host.external else card.port)
            self._plug(host, card, device)
            vlan = self.topology.vlans[card.network]
            if vlan is not None and not self._is_protected(host.switch):
                self._access_vlans[device] = vlan
            if not host.external:
                self.ports[device] = card.port
            elif self.topology.switches[host.switch]:
                self.uplinks[device] = (card.network,)

    def _plug(self, host: ScenarioHost, card: ScenarioInterface, device: str) -> None:
        self.net.addLink(host.name, host.switch, intfName1=card.name, intfName2=device, addr1=card.mac)

    def _add_link(self, ends: tuple[str, str], networks: tuple[str, ...]) -> None:
        first, second = ends
        devices = [self._device(f"{first}-{second}"), self._device(f"{second}-{first}")]
        self.net.addLink(first, second, intfName1=devices[0], intfName2=devices[1])
        for switch, device in zip(ends, devices, strict=True):
            if self.topology.switches[switch]:
                self.uplinks[device] = networks

    def _device(self, wanted: str) -> str:
        """A free device name similar to `wanted`; all switches share one namespace."""
        name, number = wanted[:_NAME_LENGTH], 2
        while name in self._names:
            tail = f"~{number}"
            name, number = wanted[: _NAME_LENGTH - len(tail)] + tail, number + 1
        self._names.add(name)
        return name

    def _configure(self, host: ScenarioHost) -> None:
        """Set addresses and routes. There are no routers: the first card's link is the default route."""
        settings = " ".join(_HOST_SETTINGS)
        script = ["set -e", f"sysctl -qw {settings}", "ip link set lo up"]
        for card in host.interfaces:
            if fill_in := fill_in_checksums(card.name):
                script.append(f"{' '.join(fill_in)} >/dev/null")
            # On a slow machine answers come late, and a failed neighbour entry ends connections.
            patient = (f"net/{family}/neigh/{card.name}/mcast_solicit=10" for family in ("ipv4", "ipv6"))
            script += [f"sysctl -qw {' '.join(patient)}", f"ip link set {card.name} up"]
            script += [_add_address(address, card.name) for address in card.all_addresses]
        script += self._default_routes(host.interfaces[0])
        run([*self.enter(host.name), "sh", "-c", "\n".join(script)])

    @staticmethod
    def _default_routes(card: ScenarioInterface) -> Iterable[str]:
        versions = {address.version for address in card.all_addresses}
        return [f"ip -{version} route add default dev {card.name}" for version in sorted(versions)]


def _add_address(address: Address, device: str) -> str:
    """A command that adds an address; without duplicate address detection it is usable at once."""
    return f"ip address add {address} dev {device}{' nodad' if address.version == 6 else ''}"
