"""The reasons for drops, declared once: their numbers in the REASON register and their explanations."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Reason(IntEnum):
    """Why a packet was dropped; the value is the number in the REASON register."""

    UNKNOWN_PORT = 1, "the port is not bound to a policy port and is not an uplink"
    ADMIN_DOWN = 2, "the policy port is administratively down"
    VLAN_TAG = 3, "a workload may not send tagged frames"
    UNDECLARED_VLAN = 4, "the uplink does not carry a network with this tag"
    BAD_SOURCE_MAC = 5, "the source MAC is zero or a group address"
    ETHERTYPE = 6, "only ARP, IPv4 and IPv6 are allowed from a workload"
    ARP_SPOOF = 7, "ARP with a MAC or address that is not the port's own"
    IP_SPOOF = 8, "the source MAC and IP address are not a pair that the port may use"
    ND_SPOOF = 9, "neighbour discovery for an address or MAC that is not the port's own"
    DHCP_SERVER = (
        10,
        "DHCP server messages are allowed only from uplinks and ports without port security",
    )
    ROUTER_ADVERTISEMENT = (
        11,
        "router advertisements and redirects are allowed only from uplinks and ports without port security",
    )
    BUM = 12, "broadcast or multicast from a workload"
    UNSPECIFIED_SOURCE = (
        13,
        "the unspecified address is allowed only for DHCP and duplicate address detection",
    )
    UPLINK_SPOOF = 14, "a frame from an uplink claims a local port's MAC or address"
    INVALID = 15, "the connection tracker reports the packet as invalid"
    NOT_TRACKED = 16, "the packet is not IP or could not be tracked"
    EGRESS_POLICY = 17, "no egress rule of the sender allows it"
    INGRESS_POLICY = 18, "no ingress rule of the receiver allows it"
    UNKNOWN_DESTINATION = 19, "the destination is not a local port and the network has no uplink"
    UNREADABLE = 20, "ARP or neighbour discovery that the switch cannot parse, although a host might"
    FORGED_ERROR = 21, "an ICMP error about a connection, but its sender is not an end of that connection"
    FOREIGN_ADDRESS = 22, "the packet is for an address that the receiver does not have"
    STANDBY = 23, "a copy that came in on a member of a bond that is not in use"
    OFF_LINK = 24, "neighbour discovery for a destination that is not on the network's link"
    CONTROL_BUDGET = 25, "more ARP, neighbour discovery, DHCP and similar messages than one port may send"
    RETURNED_PROBE = 26, "a loop probe that came back on the uplink through which it was sent"
    EGRESS_FRAGMENT = 27, "a fragment of an ethertype for which the sender has no rule"
    INGRESS_FRAGMENT = 28, "a fragment of an ethertype for which the receiver has no rule"
    FRAGMENT_BUDGET = 29, "more fragments than one port may send, or receive from outside"
    NETWORK_FRAGMENT_BUDGET = 30, "more fragments than all ports of one network together may send and receive"

    explanation: str

    def __new__(cls, value: int, explanation: str) -> Self:
        """Attach the explanation to the number."""
        reason = int.__new__(cls, value)
        reason._value_ = value
        reason.explanation = explanation
        return reason
