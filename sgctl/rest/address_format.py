"""Addresses and CIDRs in Neutron's spelling."""

from __future__ import annotations

from flows.policy.objects import Prefix


def read_network(text: str) -> Prefix:
    """An address or CIDR; host bits are cleared. Raises ValueError."""
    address, slash, length = text.partition("/")
    host = Prefix.parse(address)
    if not slash:
        return host
    if not (length.isascii() and length.isdigit() and len(length) <= 3 and int(length) <= host.bits):
        raise ValueError(f"{text!r} has no prefix length from 0 to {host.bits}")
    network = host._replace(length=int(length))
    return network._replace(value=network.value & network.mask)


def read_address(text: str) -> Prefix:
    """A single address. Raises ValueError."""
    if "/" in text:
        raise ValueError(f"{text!r} is a CIDR, not an address")
    return Prefix.parse(text)


def cidr(prefix: Prefix | None) -> str | None:
    """Always with its length, as Neutron normalises it."""
    return None if prefix is None else f"{prefix.address}/{prefix.length}"


def address_text(version: int, value: int) -> str:
    """An address from its value."""
    return Prefix(version, value, 32 if version == 4 else 128).address
