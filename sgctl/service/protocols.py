"""IP protocol numbers and their names in the Neutron API reference."""

from __future__ import annotations

from difflib import get_close_matches

NUMBERS = {
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6-encap": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ospf": 89,
    "vrrp": 112,
    "pgm": 113,
    "sctp": 132,
    "udplite": 136,
}
"""The name that is printed for each number; `ALIASES` has the other accepted names."""

ALIASES = {"icmpv6": 58, "ipv4": 4}

IPV6_ONLY = frozenset(number for name, number in NUMBERS.items() if name.startswith("ipv6-") and number != 41)
"""Protocols that only follow an IPv6 header. 41, IPv6 inside IPv4, is not one of them."""

_NAMES = {number: name for name, number in NUMBERS.items()}


def parse(value: str | int | None) -> int | None:
    """The protocol number of a name or number (0–255, also as text); None for `any` and None.

    Raises ValueError. The number 0 is refused: in Neutron it means any protocol, in the IANA list hop-by-hop
    options, and a wrong guess could permit more than intended.
    """
    if value is None or value == "any":
        return None
    text = str(value).lower()
    number = NUMBERS.get(text, ALIASES.get(text))
    if number is not None:
        return number
    if not (text.isascii() and text.isdigit()):
        close = get_close_matches(text, [*NUMBERS, *ALIASES], 1)
        hint = f"did you mean {close[0]}?" if close else f"use any, a number or {', '.join(NUMBERS)}"
        raise ValueError(f"{value!r} is no protocol; {hint}")
    if int(text) > 255:
        raise ValueError(f"{value} is no protocol number: they go from 0 to 255")
    if int(text) == 0:
        raise ValueError("0 can mean two things: write any for every protocol or hopopt for number 0")
    return int(text)


def show(number: int | None) -> str | int:
    """The name of a protocol number, or the number if it has no name; `any` for None. Inverse of `parse`."""
    return "any" if number is None else _NAMES.get(number, number)
