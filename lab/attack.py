"""Attacks as data: who sends which frames, who must not get them, and which honest frames must arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Protocol, cast

from flows.openflow.reasons import Reason
from lab.datapath import Datapath


class AttackFrame(Protocol):
    """Anything that can be sent as bytes, such as a scapy packet."""

    def __bytes__(self) -> bytes: ...


@dataclass(frozen=True)
class AttackHost:
    """A sender or receiver. MAC and addresses are derived from its `number` (1–254); `role` says where it is.

    `subnet` selects one of its network's subnets: 0 or 9.
    """

    name: str
    number: int
    role: str
    subnet: int = 0

    @property
    def mac(self) -> str:
        """The MAC of its one device."""
        return f"02:00:00:00:00:{self.number:02x}"

    @property
    def ip(self) -> str:
        """Its IPv4 address."""
        return f"10.0.{self.subnet}.{self.number}"

    @property
    def ip6(self) -> str:
        """Its global IPv6 address."""
        prefix = f"2001:db8:{self.subnet}::" if self.subnet else "2001:db8::"
        return f"{prefix}{self.number:x}"

    @property
    def link_local(self) -> str:
        """Its EUI-64 link-local address (RFC 4291 appendix A)."""
        return str(IPv6Address(f"fe80::ff:fe00:{self.number:x}"))


ATTACKER = AttackHost("attacker", 1, "workload")
VICTIM = AttackHost("victim", 2, "workload")
NEIGHBOUR = AttackHost("neighbour", 3, "workload")
OPEN = AttackHost("open", 5, "workload whose rules let everything in")
MUTE = AttackHost("mute", 6, "workload without an egress rule")
PAIRED = AttackHost("paired", 10, "workload with an allowed address pair")
PARTNER = AttackHost("partner", 11, "workload with the same pair")
RIVAL = AttackHost("rival", 12, "workload with pairs of its own: an address and ranges")
ROUTED = AttackHost("routed", 13, "workload in another subnet, to which the router leads", subnet=9)
PLAIN = AttackHost("plain", 14, "workload with rules for IPv4 only")
GREEN = AttackHost("green", 4, "workload in another network, VLAN 5 on the uplinks")
STRANGER = AttackHost("stranger", 7, "device without a policy port")
DISABLED = AttackHost("disabled", 8, "workload whose port is administratively down")
ROUTER = AttackHost("router", 254, "behind the first uplink")
OUTSIDE = AttackHost("outside", 200, "behind the second uplink")

WORKLOADS = (ATTACKER, VICTIM, NEIGHBOUR, OPEN, MUTE, PAIRED, PARTNER, RIVAL, ROUTED, PLAIN, GREEN)
SHUT_OUT = (STRANGER, DISABLED)
UPLINKS = (ROUTER, OUTSIDE)
EVERYBODY = (*WORKLOADS, *SHUT_OUT, *UPLINKS)
INSIDE = (*WORKLOADS, *SHUT_OUT)

SHARED_ADDRESS, SHARED_MAC = "10.0.0.100", "00:00:5e:00:01:0a"
"""The allowed address pair: a virtual router's address and MAC (RFC 5798 section 7.3, router 10)."""
RIVAL_ADDRESS = "10.0.0.101"
GREEN_VLAN = 5


@dataclass(frozen=True)
class Send:
    """Frames of one sender. If they are honest, every host in `to` gets all of them."""

    sender: AttackHost
    frames: tuple[bytes, ...]
    to: tuple[AttackHost, ...] = ()


@dataclass(frozen=True)
class OnKernel:
    """What happens to an attack's frames on the kernel datapath, if it rightly differs; `why` says why.

    Only `passes` arrives: packets that the rules allow.
    """

    why: str
    reason: Reason | None = None
    passes: tuple[Send, ...] = ()


@dataclass(frozen=True)
class Attack:
    """`frames` of `sender` must reach none of `spared`; the switch drops them all for `reason`.

    With None as `reason` the frames go to other hosts, or the switch never looks at them. Honest hosts send
    `before` first. `control` shows that the honest form of the frames arrives. Frames sent `after` the attack
    still go to the hosts that should get them, and to no other.
    """

    name: str
    family: str
    sender: AttackHost
    frames: tuple[bytes, ...]
    reason: Reason | None
    control: tuple[Send, ...]
    spared: tuple[AttackHost, ...] = EVERYBODY
    kernel: OnKernel | None = None
    before: tuple[Send, ...] = ()
    after: tuple[Send, ...] = ()

    def fate(self, datapath: Datapath) -> tuple[Reason | None, tuple[Send, ...]]:
        """Why the attack's frames are dropped, and which packets still pass."""
        if datapath is Datapath.KERNEL and self.kernel is not None:
            return self.kernel.reason, self.kernel.passes
        return self.reason, ()


def said(sender: AttackHost, frames: AttackFrame | Sequence[AttackFrame], *to: AttackHost) -> Send:
    """Frames that `sender` sends and every host in `to` gets."""
    return Send(sender, _as_bytes(frames), to)


@dataclass
class Family:
    """A chapter of the table of attacks."""

    name: str
    attacks: list[Attack] = field(default_factory=list)

    def add(
        self,
        name: str,
        sender: AttackHost,
        frames: AttackFrame | Sequence[AttackFrame],
        reason: Reason | None,
        *control: Send,
        spared: tuple[AttackHost, ...] = EVERYBODY,
        kernel: OnKernel | None = None,
        **around: tuple[Send, ...],
    ) -> None:
        """Add an attack; `around` holds its `before` and `after`. Raises ValueError without a control."""
        if not control:
            raise ValueError(f"{name}: an attack without control proves nothing")
        many = _as_bytes(frames)
        self.attacks.append(Attack(name, self.name, sender, many, reason, control, spared, kernel, **around))


def _as_bytes(frames: AttackFrame | Sequence[AttackFrame]) -> tuple[bytes, ...]:
    if isinstance(frames, list | tuple):
        return tuple(bytes(frame) for frame in frames)
    return (bytes(cast(AttackFrame, frames)),)
