"""Which datapath forwards the lab's packets: Open vSwitch's own in userspace, or the kernel's.

`SGCTL_LAB_DATAPATH` chooses it by its name in Open vSwitch: `netdev` (the default) or `system`. The kernel's
needs a kernel whose connection tracker has zones (`make kernel` brings one).
"""

from __future__ import annotations

import os
import re
from enum import StrEnum

from lab.process import LabError, run

SETTING = "SGCTL_LAB_DATAPATH"
FRAGMENT_TIMES = ("net.ipv4.ipfrag_time", "net.netfilter.nf_conntrack_frag6_timeout")
"""The kernel's settings of how many seconds a fragment waits for the others."""
_KERNEL_DATAPATH = "system@ovs-system"
_LIMITED_ZONE = re.compile(r"^zone=(\d+)", re.MULTILINE)


class Datapath(StrEnum):
    """A datapath by its name in Open vSwitch (`datapath_type` in ovs-vswitchd.conf.db(5))."""

    USERSPACE = "netdev"
    KERNEL = "system"

    @property
    def options(self) -> tuple[str, ...]:
        """What ovs-vswitchd is started with: without the kernel's, it need not look for it."""
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
    """The command that a host with `device` has to run before its packets are right, or none.

    The userspace datapath checks checksums, which a veth pair leaves to be filled in by nobody. The kernel
    knows which checksums are not there yet.
    """
    return ["ethtool", "-K", device, "tx", "off"] if DATAPATH is Datapath.USERSPACE else []


def clear_kernel() -> None:
    """Remove what a switch before left in the kernel, for this network namespace.

    A datapath outlives its ovs-vswitchd, and connections and limits outlive the datapath.
    """
    if _KERNEL_DATAPATH not in run(["ovs-dpctl", "dump-dps"]):
        return
    for zone in _LIMITED_ZONE.findall(run(["ovs-dpctl", "ct-get-limits", _KERNEL_DATAPATH])):
        run(["ovs-dpctl", "ct-del-limits", _KERNEL_DATAPATH, f"zone={zone}"])
    run(["ovs-dpctl", "flush-conntrack"])
    run(["ovs-dpctl", "del-dp", _KERNEL_DATAPATH])
