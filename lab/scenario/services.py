"""The names of services in a scenario file: `tcp/22`, `udp6/53`, `icmp`, `proto/4`, `arp-spoof`."""

from __future__ import annotations

import re

from lab.scenario.model import ProbedService

ATTACKS = ("arp-spoof", "mac-spoof", "ip-spoof", "dhcp-server", "broadcast", "vlan", "sniff")
"""Frames that no honest host sends. `sniff` is passive: `to` sends the frames, `from` must not see them."""

_PORT_OR_PROTOCOL = re.compile(r"(tcp|udp|proto)(6?)/([0-9]{1,5})")
_SERVED_BY_THE_KERNEL = (1, 6, 17, 58)


def parse_service(text: str) -> ProbedService:
    """Parse the name of a service. Raises ValueError with the known names."""
    if text in ATTACKS:
        return ProbedService(text, text, 4, 0)
    if text in ("icmp", "icmp6"):
        return ProbedService(text, "icmp", 6 if text.endswith("6") else 4, 0)
    match = _PORT_OR_PROTOCOL.fullmatch(text)
    if match is None:
        raise ValueError(
            f"unknown service {text!r}; known: tcp/PORT, udp/PORT, proto/NUMBER (tcp6/…, udp6/…, proto6/… "
            f"over IPv6), icmp, icmp6, {', '.join(ATTACKS)}"
        )
    kind, six, number = match[1], match[2], int(match[3])
    _check_number(text, kind, number)
    return ProbedService(text, kind, 6 if six else 4, number)


def _check_number(text: str, kind: str, number: int) -> None:
    if kind != "proto" and not 1 <= number <= 65535:
        raise ValueError(f"{text!r}: a port is 1 to 65535")
    if kind == "proto" and (number > 255 or number in _SERVED_BY_THE_KERNEL):
        raise ValueError(f"{text!r}: an IP protocol is 0 to 255 and has no word of its own (tcp, udp, icmp)")
