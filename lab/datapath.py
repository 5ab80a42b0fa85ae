"""Which datapath forwards the lab's packets: Open vSwitch's own in userspace, or the kernel's.

`SGCTL_LAB_DATAPATH` chooses it by its name in Open vSwitch: `netdev` (the default) or `system`. The kernel's
needs a kernel whose connection tracker has zones (`make kernel` brings one).
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path

from lab.process import LabError, run, wait_until

SETTING = "SGCTL_LAB_DATAPATH"
_FRAGMENT_TIMES = ("net.ipv4.ipfrag_time", "net.netfilter.nf_conntrack_frag6_timeout")
"""The kernel's settings for how many seconds a fragment waits for the rest of its packet."""
_KERNEL_DATAPATH = "system@ovs-system"
_LIMITED_ZONE = re.compile(r"^zone=(\d+)", re.MULTILINE)


class Datapath(StrEnum):
    """A datapath by its name in Open vSwitch (`datapath_type` in ovs-vswitchd.conf.db(5))."""

    USERSPACE = "netdev"
    KERNEL = "system"

    @property
    def options(self) -> tuple[str, ...]:
        """Options for ovs-vswitchd: for the userspace datapath it does not look for the kernel's."""
        return () if self is Datapath.KERNEL else ("--disable-system",)


def _chosen() -> Datapath:
    name = os.environ.get(SETTING, Datapath.USERSPACE)
    try:
        return Datapath(name)
    except ValueError:
        raise LabError(f"{SETTING}={name}: one of {', '.join(Datapath)}") from None


DATAPATH = _chosen()
"""The datapath of this run."""


def fill_in_checksums(device: str) -> list[str]:
    """The command after which a host with `device` sends correct checksums; empty if none is needed.

    A host leaves checksums on a veth device to offloading, which never happens; the userspace datapath
    rejects such packets. The kernel datapath knows which checksums are still missing.
    """
    return ["ethtool", "-K", device, "tx", "off"] if DATAPATH is Datapath.USERSPACE else []


def let_fragments_wait(seconds: int) -> None:
    """Set how long the kernel keeps a fragment. The userspace datapath always keeps it for 15 seconds."""
    if DATAPATH is Datapath.KERNEL:
        run(["sysctl", "-qw", *(f"{name}={seconds}" for name in _FRAGMENT_TIMES)])


def wait_for_no_fragments(seconds: float) -> None:
    """Wait until the kernel has given up the fragments of earlier tests. Raises LabError after `seconds`.

    The kernel keeps them when a switch ends, and a large datagram of the next test might find no room.
    """
    if DATAPATH is Datapath.KERNEL:
        wait_until(_kernel_holds_none, "fragments of earlier tests are given up", seconds)


def _kernel_holds_none() -> bool:
    return "FRAG: inuse 0 " in Path("/proc/net/sockstat").read_text()


def clear_kernel() -> None:
    """Remove datapaths, connections and limits that an earlier switch left in this network namespace.

    A datapath in the kernel outlives its ovs-vswitchd; connections and limits outlive the datapath.
    """
    if _KERNEL_DATAPATH not in run(["ovs-dpctl", "dump-dps"]):
        return
    for zone in _LIMITED_ZONE.findall(run(["ovs-dpctl", "ct-get-limits", _KERNEL_DATAPATH])):
        run(["ovs-dpctl", "ct-del-limits", _KERNEL_DATAPATH, f"zone={zone}"])
    run(["ovs-dpctl", "flush-conntrack"])
    run(["ovs-dpctl", "del-dp", _KERNEL_DATAPATH])
