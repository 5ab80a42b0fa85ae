"""The OpenFlow address of this controller, and whether a bridge's controller target refers to it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

OPENFLOW_PORT = 6653
"""The port of a target that has none."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """The address for switches: `scheme` is `tcp` or `ssl`, `host` the IP address that it listens on."""

    scheme: str
    host: str
    port: int

    @property
    def target(self) -> str:
        """The target for `ovs-vsctl set-controller` on this host."""
        address = ipaddress.ip_address(self.host)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        host = str(address) if address.version == 4 else f"[{address}]"
        return f"{self.scheme}:{host}:{self.port}"

    def matches_target(self, target: str) -> bool:
        """Whether a controller's target such as `tcp:127.0.0.1:6653` certainly is this controller.

        False for host names, which are not resolved.
        """
        scheme, _, place = target.partition(":")
        try:
            parts = urlsplit(f"//{place}")
            wanted, here = ipaddress.ip_address(parts.hostname or ""), ipaddress.ip_address(self.host)
            port = parts.port or OPENFLOW_PORT
        except ValueError:
            return False
        same_host = wanted == here or (here.is_unspecified and _is_of_this_host(wanted))
        return same_host and (scheme, port) == (self.scheme, self.port)


def _is_of_this_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
        return True
