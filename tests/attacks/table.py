"""All attacks."""

from __future__ import annotations

from lab.attack import Attack
from tests.attacks.addresses import ADDRESS_ATTACKS
from tests.attacks.arp import ARP_ATTACKS
from tests.attacks.discovery import ND_ATTACKS, ROUTER_ATTACKS

FAMILIES = (ARP_ATTACKS, ADDRESS_ATTACKS, ND_ATTACKS, ROUTER_ATTACKS)
ATTACKS: list[Attack] = [attack for family in FAMILIES for attack in family.attacks]
