"""All attacks."""

from __future__ import annotations

from lab.attack import Attack
from tests.attacks.addresses import ADDRESS_ATTACKS
from tests.attacks.arp import ARP_ATTACKS
from tests.attacks.connections import ERROR_ATTACKS, POLICY_ATTACKS, STATE_ATTACKS
from tests.attacks.delivery import FLOOD_ATTACKS, LEARNING_ATTACKS, SNIFFING_ATTACKS
from tests.attacks.dhcp import DHCP_ATTACKS
from tests.attacks.discovery import ND_ATTACKS, ROUTER_ATTACKS
from tests.attacks.ethernet import ETHERTYPE_ATTACKS, VLAN_ATTACKS
from tests.attacks.fragments import FRAGMENT_ATTACKS, HEADER_ATTACKS, PROTOCOL_ATTACKS
from tests.attacks.links import LINK_ATTACKS
from tests.attacks.listeners import LISTENER_ATTACKS
from tests.attacks.ranges import RANGE_ATTACKS
from tests.attacks.routed import ROUTED_ATTACKS
from tests.attacks.routers import VRRP_ATTACKS
from tests.attacks.tunnels import TUNNEL_ATTACKS

FAMILIES = (
    ARP_ATTACKS,
    ADDRESS_ATTACKS,
    RANGE_ATTACKS,
    ND_ATTACKS,
    ROUTER_ATTACKS,
    DHCP_ATTACKS,
    LINK_ATTACKS,
    LISTENER_ATTACKS,
    VLAN_ATTACKS,
    ETHERTYPE_ATTACKS,
    FLOOD_ATTACKS,
    SNIFFING_ATTACKS,
    LEARNING_ATTACKS,
    POLICY_ATTACKS,
    STATE_ATTACKS,
    ERROR_ATTACKS,
    FRAGMENT_ATTACKS,
    HEADER_ATTACKS,
    PROTOCOL_ATTACKS,
    TUNNEL_ATTACKS,
    VRRP_ATTACKS,
    ROUTED_ATTACKS,
)
ATTACKS: list[Attack] = [attack for family in FAMILIES for attack in family.attacks]
