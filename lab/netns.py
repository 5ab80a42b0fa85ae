"""Workloads as network namespaces, inside private namespaces of this process.

`isolate` moves the process to a new network namespace. Whatever the process makes there (bridges, veth pairs,
named namespaces) disappears when the process ends in any way, and never conflicts with another run. The host
name there has a dash and dots, as in a data centre.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from lab.datapath import fill_in_checksums
from lab.process import LabError, run

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWNET = 0x40000000
HOST_NAME = "compute-1.example.org"
NAMED_NAMESPACES = Path("/run/netns")

_libc = ctypes.CDLL(None, use_errno=True)
_home: int | None = None  # the isolated network, open


def isolate() -> None:
    """Move this process to a new network namespace with only a loopback device, until the process ends.

    The host is called `HOST_NAME` there, and named namespaces (`ip netns`) are private to the process, too.
    A second call does nothing. Needs root, and a process with one thread: other threads would stay in the
    old namespaces.
    """
    global _home  # noqa: PLW0603 - namespaces belong to the whole process
    if isolated():
        return
    if threading.active_count() > 1:
        raise LabError("isolate() must come before the first thread")
    _check(_libc.unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS), "unshare")
    socket.sethostname(HOST_NAME)
    NAMED_NAMESPACES.mkdir(exist_ok=True)
    run(["mount", "--make-rprivate", "/"])
    run(["mount", "-t", "tmpfs", "sgctl-lab", str(NAMED_NAMESPACES)])
    run(["ip", "link", "set", "lo", "up"])
    # As in `silence`.
    _set_ipv6_default("disable_ipv6", 1)
    _home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def isolated() -> bool:
    """Whether `isolate` has been called."""
    return _home is not None


_OF_SWITCHES = ("lo", "ovs-", "vxlan_sys", "genev_sys", "gre", "erspan", "ip6", "sit", "tunl")
"""Devices that a switch or a kernel module adds and removes, possibly after the end of a test."""


def devices() -> frozenset[str]:
    """The names of the devices in this process's network namespace, without the devices of switches."""
    names = (name for _, name in socket.if_nameindex())
    return frozenset(name for name in names if not name.startswith(_OF_SWITCHES))


def namespaces() -> frozenset[str]:
    """The names of all namespaces."""
    return frozenset(path.name for path in NAMED_NAMESPACES.iterdir())


class Namespace:
    """A network namespace with only a loopback device. Needs `isolate`."""

    def __init__(self, name: str) -> None:
        if not isolated():
            raise LabError("a namespace may get devices: call lab.netns.isolate() first")
        self.name = name
        run(["ip", "netns", "add", name])
        self._namespace = os.open(NAMED_NAMESPACES / name, os.O_RDONLY | os.O_CLOEXEC)
        self.run("ip", "link", "set", "lo", "up")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Move the calling thread to the namespace; sockets and processes made in the block stay there."""
        _check(_libc.setns(self._namespace, CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            _check(_libc.setns(_home, CLONE_NEWNET), "setns")

    def run(self, *arguments: str) -> str:
        """The output of a program run in the namespace; LabError if it fails."""
        with self.inside():
            return run(arguments)

    def succeeds(self, *arguments: str) -> bool:
        """Whether a program run in the namespace exits with 0."""
        with self.inside():
            done = subprocess.run(arguments, capture_output=True, timeout=30, check=False)
        return done.returncode == 0

    def forget_unanswered(self) -> None:
        """Forget failed neighbour entries: otherwise the kernel may wait a second before it asks again."""
        self.run("ip", "neighbour", "flush", "dev", "eth0", "nud", "incomplete", "nud", "failed")

    def silence(self) -> None:
        """Switch off IPv6 on devices made here from now on: they lead to a switch and must not send."""
        with self.inside():
            _set_ipv6_default("disable_ipv6", 1)

    def remove(self) -> None:
        """Remove the namespace. Not needed at the end of the process."""
        os.close(self._namespace)
        run(["ip", "netns", "delete", self.name])


class Workload(Namespace):
    """A network namespace with one device `eth0`; its other end `name` can be put on a bridge.

    `addresses` have a prefix length (`10.0.0.1/24`, `2001:db8::1/64`). `name` has at most 15 characters. The
    other end is in the namespace `host`, by default in this process's namespace.
    """

    def __init__(
        self, name: str, mac: str, addresses: Sequence[str] = (), host: Namespace | None = None
    ) -> None:
        super().__init__(name)
        self.mac = mac
        self._host = host
        with self.inside():
            _set_ipv6_default("accept_dad", 0)  # addresses are usable at once
            _set_ipv6_default("router_solicitations", 0)
        with self._outside():
            _ip_batch(
                f"link add {name} type veth peer name eth0 address {mac} netns {name}",
                f"link set {name} up",
            )
        with self.inside():
            if fill_in := fill_in_checksums("eth0"):
                run(fill_in)
            _ip_batch(
                *(f"address add {address} dev eth0" for address in addresses),
                "link set eth0 up",
            )

    def remove(self) -> None:
        """Remove the namespace and its device. Not needed at the end of the process."""
        with self._outside():
            run(["ip", "link", "delete", self.name])
        super().remove()

    def _outside(self) -> AbstractContextManager[None]:
        return self._host.inside() if self._host is not None else nullcontext()


def _set_ipv6_default(name: str, value: int) -> None:
    Path("/proc/sys/net/ipv6/conf/default", name).write_text(str(value))


def _ip_batch(*commands: str) -> None:
    run(["ip", "-batch", "-"], stdin="\n".join(commands))


def _check(result: int, call: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise LabError(f"{call}: {os.strerror(number)}")
