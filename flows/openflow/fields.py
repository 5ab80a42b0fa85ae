"""The match fields that sgctl uses: names, widths and wire formats.

Sources: ovs-fields(7); OpenFlow 1.4 section 7.2.3 (OXM). Fields of class 0x0001 are Nicira's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import NamedTuple

from netaddr import EUI, IPAddress, mac_unix_expanded

OPENFLOW_BASIC = 0x8000
PACKET_REGISTERS = 0x8001
NICIRA = 0x0001


class Style(Enum):
    """How a value is written in text."""

    DECIMAL = "decimal"
    HEX = "hex"
    MAC = "mac"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    CT_STATE = "ct_state"
    FRAG = "frag"


CT_STATE_BITS = {"new": 1, "est": 2, "rel": 4, "rpl": 8, "inv": 16, "trk": 32}
FRAG_LATER = 3
_FRAG_NAMES = {(0, 3): "no", (1, 3): "first", (3, 3): "later", (1, 1): "yes"}


@dataclass(frozen=True, eq=False)
class Field:
    """A match field of `bits` bits, sent as whole bytes, big endian.

    Every mask must include the bits of `least_mask` (`flows.openflow.datapath_key`). `internal` fields are
    not part of packets: registers and conjunction ids.
    """

    name: str
    oxm_class: int
    number: int
    bits: int
    style: Style = Style.DECIMAL
    least_mask: int = 0
    internal: bool = False

    @cached_property
    def size(self) -> int:
        """Bytes on the wire."""
        return (self.bits + 7) // 8

    @cached_property
    def header(self) -> bytes:
        """OXM header of an exact match."""
        return (self.oxm_class << 16 | self.number << 9 | self.size).to_bytes(4, "big")

    @cached_property
    def masked_header(self) -> bytes:
        """OXM header of a match with a mask."""
        return (self.oxm_class << 16 | self.number << 9 | 1 << 8 | self.size * 2).to_bytes(4, "big")

    @cached_property
    def full(self) -> int:
        """The mask of an exact match."""
        return (1 << self.bits) - 1

    def __call__(self, value: int, mask: int | None = None) -> Term:
        """Match `value`, exactly or under `mask`. Raises ValueError if a bit does not fit."""
        return _term(self, value, mask)

    def show(self, value: int) -> str:
        """The value as ovs-ofctl writes it."""
        if self.style is Style.MAC:
            return str(EUI(value, 48, dialect=mac_unix_expanded))
        if self.style in (Style.IPV4, Style.IPV6):
            return str(IPAddress(value, 4 if self.style is Style.IPV4 else 6))
        return f"{value:#x}" if self.style is Style.HEX else str(value)

    def __repr__(self) -> str:
        return self.name


class Term(NamedTuple):
    """One condition of a match. `mask` is None for an exact match.

    `oxm` is the condition in wire format: the OXM entry's header, value and mask.
    """

    field: Field
    value: int
    mask: int | None
    oxm: bytes

    def __str__(self) -> str:
        field, value, mask, _ = self
        if field.style is Style.CT_STATE:
            return f"ct_state={''.join(_ct_state_flags(value, field.full if mask is None else mask))}"
        if field.style is Style.FRAG:
            return f"nw_frag={_FRAG_NAMES[value, 3 if mask is None else mask]}"
        if mask is None:
            return f"{field.name}={field.show(value)}"
        if field.style in (Style.IPV4, Style.IPV6):
            return f"{field.name}={field.show(value)}/{_mask_text(field, mask)}"
        shown = field.show(mask) if field.style is Style.MAC else f"{mask:#x}"
        return f"{field.name}={field.show(value) if field.style is Style.MAC else hex(value)}/{shown}"


def _mask_text(field: Field, mask: int) -> str:
    """The prefix length, or the mask itself if it is not that of a prefix."""
    length = mask.bit_count()
    return str(length) if mask == field.full ^ (field.full >> length) else field.show(mask)


@lru_cache(maxsize=1 << 14)
def _term(field: Field, value: int, mask: int | None) -> Term:
    """Cached, because the flows of a port repeat the same conditions and can share them."""
    if value & ~field.full or (mask is not None and value & ~mask):
        raise ValueError(f"{field.name}={value:#x}/{mask or field.full:#x} does not fit {field.bits} bits")
    if mask is None or mask == field.full:
        return Term(field, value, None, field.header + value.to_bytes(field.size, "big"))
    if field.least_mask & ~mask:
        raise ValueError(f"{field.name}={value:#x}/{mask:#x}: a datapath would not compare it")
    both = value.to_bytes(field.size, "big") + mask.to_bytes(field.size, "big")
    return Term(field, value, mask, field.masked_header + both)


Match = tuple[Term, ...]
"""Conditions that must all hold, ordered so that prerequisites come first."""


def _ct_state_flags(value: int, mask: int) -> Iterator[str]:
    for name, bit in CT_STATE_BITS.items():
        if mask & bit:
            yield ("+" if value & bit else "-") + name


def _basic(name: str, number: int, bits: int, style: Style = Style.DECIMAL, least_mask: int = 0) -> Field:
    return Field(name, OPENFLOW_BASIC, number, bits, style, least_mask)


def _nicira(name: str, number: int, bits: int, style: Style = Style.DECIMAL, least_mask: int = 0) -> Field:
    return Field(name, NICIRA, number, bits, style, least_mask)


def _internal(name: str, number: int, bits: int, style: Style, oxm_class: int = NICIRA) -> Field:
    return Field(name, oxm_class, number, bits, style, internal=True)


IN_PORT = _basic("in_port", 0, 32)
ETH_DST = _basic("dl_dst", 3, 48, Style.MAC)
ETH_SRC = _basic("dl_src", 4, 48, Style.MAC)
ETH_TYPE = _basic("dl_type", 5, 16, Style.HEX)
VLAN_VID = _basic("vlan_vid", 6, 16, Style.HEX)
IP_DSCP = _basic("ip_dscp", 8, 6)
IP_PROTO = _basic("nw_proto", 10, 8)
IPV4_SRC = _basic("nw_src", 11, 32, Style.IPV4)
IPV4_DST = _basic("nw_dst", 12, 32, Style.IPV4)
TCP_SRC = _basic("tcp_src", 13, 16)
TCP_DST = _basic("tcp_dst", 14, 16)
UDP_SRC = _basic("udp_src", 15, 16)
UDP_DST = _basic("udp_dst", 16, 16)
SCTP_SRC = _basic("sctp_src", 17, 16)
SCTP_DST = _basic("sctp_dst", 18, 16)
ICMPV4_TYPE = _basic("icmp_type", 19, 8)
ICMPV4_CODE = _basic("icmp_code", 20, 8)
ARP_OP = _basic("arp_op", 21, 16, least_mask=0xFFFF)
ARP_SPA = _basic("arp_spa", 22, 32, Style.IPV4)
ARP_TPA = _basic("arp_tpa", 23, 32, Style.IPV4)
ARP_SHA = _basic("arp_sha", 24, 48, Style.MAC)
IPV6_SRC = _basic("ipv6_src", 26, 128, Style.IPV6)
IPV6_DST = _basic("ipv6_dst", 27, 128, Style.IPV6)
ICMPV6_TYPE = _basic("icmpv6_type", 29, 8)
ICMPV6_CODE = _basic("icmpv6_code", 30, 8)
ND_TARGET = _basic("nd_target", 31, 128, Style.IPV6)
ND_SLL = _basic("nd_sll", 32, 48, Style.MAC)
ND_TLL = _basic("nd_tll", 33, 48, Style.MAC)
IP_FRAG = _nicira("nw_frag", 26, 8, Style.FRAG, least_mask=1)
IP_TTL = _nicira("nw_ttl", 29, 8)
CONJ_ID = _internal("conj_id", 37, 32, Style.DECIMAL)
CT_STATE = _nicira("ct_state", 105, 32, Style.CT_STATE)
CT_LABEL = _nicira("ct_label", 108, 128, Style.HEX)
CT_NW_PROTO = _nicira("ct_nw_proto", 119, 8)
CT_NW_SRC = _nicira("ct_nw_src", 120, 32, Style.IPV4)
CT_NW_DST = _nicira("ct_nw_dst", 121, 32, Style.IPV4)
CT_IPV6_SRC = _nicira("ct_ipv6_src", 122, 128, Style.IPV6)
CT_IPV6_DST = _nicira("ct_ipv6_dst", 123, 128, Style.IPV6)
CT_TP_SRC = _nicira("ct_tp_src", 124, 16)
CT_TP_DST = _nicira("ct_tp_dst", 125, 16)


def register(index: int) -> Field:
    """The 32-bit register `reg<index>` (0–15)."""
    return _internal(f"reg{index}", index, 32, Style.HEX)


def wide_register(index: int) -> Field:
    """The 64-bit register `xreg<index>` (0–7): reg<2·index> (high half) and reg<2·index+1>."""
    return _internal(f"xreg{index}", index, 64, Style.HEX, PACKET_REGISTERS)


def ct_state(flags: str) -> Term:
    """Match the connection state, written as for ovs-ofctl: "+trk+new". Raises KeyError for a bad flag."""
    value = mask = 0
    for sign, name in zip(flags[::4], (flags[i + 1 : i + 4] for i in range(0, len(flags), 4)), strict=True):
        bit = CT_STATE_BITS[name]
        mask |= bit
        value |= bit if sign == "+" else 0
    return CT_STATE(value, mask)
