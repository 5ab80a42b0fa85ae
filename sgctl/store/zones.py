"""Allocation of conntrack zones to the networks of each bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sgctl.ovsdb.errors import StoreError
from sgctl.ovsdb.replica import Operation, Row
from sgctl.store.status import KeyedRows, row_is

LOWEST_ZONE, HIGHEST_ZONE = 1, 65534
"""Zone 0 is the default zone of all other users; 65535 is left unused (zones have 16 bits)."""

ZoneKey = tuple[str, str, str]
"""Chassis, bridge and network id."""


def zone_operations(
    zones: KeyedRows[ZoneKey, int],
    rows: Mapping[str, Mapping[str, Row]],
    chassis: str,
    wanted: frozenset[tuple[str, str]],
) -> list[Operation]:
    """Operations that give each wanted (bridge, network id) a zone and release those of deleted networks.

    Raises StoreError when no zone is free.
    """
    missing = sorted(pair for pair in wanted if (chassis, *pair) not in zones.values)
    if not missing:
        return []
    mine = {key: zone for key, zone in zones.values.items() if key[0] == chassis}
    stale = [key for key in mine if key[2] not in rows["Network"]]
    releases: list[Operation] = [
        {"op": "delete", "table": "Zone", "where": row_is(zones.ids[key])} for key in stale
    ]
    used = {zone for key, zone in mine.items() if key not in stale}
    if len(used) + len(missing) > HIGHEST_ZONE - LOWEST_ZONE + 1:
        raise StoreError(f"no conntrack zone is free on {chassis}: {len(used)} are in use")
    free = _free(used, max(mine.values(), default=0))
    return releases + [_allocate(chassis, *pair, next(free)) for pair in missing]


def _free(used: set[int], last: int) -> Iterator[int]:
    """Zones that are not in use, starting after `last`, so that a released zone is not reused at once."""
    for zone in (*range(last + 1, HIGHEST_ZONE + 1), *range(LOWEST_ZONE, min(last, HIGHEST_ZONE) + 1)):
        if zone not in used:
            yield zone


def _allocate(chassis: str, bridge: str, network: str, zone: int) -> Operation:
    row = {"chassis": chassis, "bridge": bridge, "network": ["uuid", network], "zone": zone}
    return {"op": "insert", "table": "Zone", "row": row}
