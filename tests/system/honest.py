"""Helpers of the tests of honest hosts: a router behind an uplink, and real programs in namespaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import process
from lab.netns import Workload
from lab.site import ALL_OUT, NETWORK, Site, document, group, mac
from lab.workloads import Workloads

BRIDGE = "br0"
ROUTER_MAC = "02:00:00:00:00:fe"
ROUTER_ADDRESSES = ("10.0.0.254/24", "2001:db8::fe/64")
ALL_OUT6 = {**ALL_OUT, "ethertype": "IPv6"}
TALKS = group("talks", ALL_OUT, ALL_OUT6)
VIRTUAL_ROUTER = """global_defs {{ vrrp_version 3 }}
vrrp_instance shared {{
    interface eth0
    state BACKUP
    virtual_router_id 10
    priority {priority}
    advert_int 0.2
    virtual_ipaddress {{ {shared}/24 }}
    {more}
}}
"""


def plug_router(site: Site, workloads: Workloads, addresses: Sequence[str] = ROUTER_ADDRESSES) -> Workload:
    """Make a host that forwards packets, on an uplink of the network."""
    return _plug_router(site, workloads, addresses, f"sgctl-uplink={NETWORK}")


def plug_trusted_router(site: Site, workloads: Workloads) -> Workload:
    """Make the same host at a port of the policy without port security."""
    unsecured = {"security_groups": [], "port_security_enabled": False}
    addresses = [address.partition("/")[0] for address in ROUTER_ADDRESSES]
    site.apply(
        document("Port", "router", network=NETWORK, mac_address=ROUTER_MAC, fixed_ips=addresses, **unsecured)
    )
    return _plug_router(site, workloads, ROUTER_ADDRESSES, "iface-id=router")


def _plug_router(site: Site, workloads: Workloads, addresses: Sequence[str], declared: str) -> Workload:
    router = workloads.by_name["router"] = Workload("router", ROUTER_MAC, addresses)
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    site.ovs.add_port(BRIDGE, "router", f"external_ids:{declared}")
    return router


def plug_bare(workloads: Workloads, number: int) -> Workload:
    """Make workload `number` without any address; its port has the usual name."""
    return workloads.plug(BRIDGE, f"w{number}", mac(number), [])


@contextmanager
def program(host: Workload, log: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program on a host, in the foreground, during the `with` block."""
    with host.inside():
        running = process.spawn(list(arguments), log, os.environ)
    try:
        yield running
    finally:
        process.stop(running)


def as_by_standard(host: Workload) -> None:
    """Use the kernel's IPv6 defaults (DAD, router solicitation), and set the link down and up."""
    host.run("ip", "link", "set", "eth0", "down")
    settings = ("accept_dad=1", "accept_ra=1", "router_solicitations=3", "router_solicitation_delay=0")
    host.run("sysctl", "-qw", *(f"net.ipv6.conf.eth0.{setting}" for setting in settings))
    host.run("ip", "link", "set", "eth0", "up")


def has(host: Workload, address: str) -> bool:
    """Whether the host has the address and may use it: duplicate address detection has succeeded."""
    lines = host.run("ip", "-oneline", "address", "show", "dev", "eth0").splitlines()
    mine = [line for line in lines if f" {address}/" in line]
    return bool(mine) and not any(state in mine[0] for state in ("tentative", "dadfailed"))


def pings(host: Workload, address: str, *options: str) -> bool:
    """Whether one of three echo requests, 0.2 s apart, is answered."""
    host.forget_unanswered()
    return host.succeeds("ping", "-q", "-c", "3", "-i", "0.2", "-W", "1", *options, address)


def keepalived(folder: Path, priority: int, shared: str, more: str = "") -> list[str | Path]:
    """The command for keepalived in the foreground with files in `folder`; `more` extends `vrrp_instance`."""
    folder.mkdir()
    settings = folder / "keepalived.conf"
    settings.write_text(VIRTUAL_ROUTER.format(priority=priority, shared=shared, more=more))
    processes = (
        "pid",
        "vrrp_pid",
        "checkers_pid",
        "bfd_pid",
    )  # also for processes that do not run, because keepalived locks all files
    files = [f"--use-file={settings}", *(f"--{name}={folder / name}" for name in processes)]
    return ["keepalived", "--dont-fork", "--log-console", "--vrrp", *files]
