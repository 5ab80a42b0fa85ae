"""A policy that a switch cannot hold: what does not fit is reported and closed, the rest is applied."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from bench.installation import BRIDGE, Installation
from flows.compiler.claims import MOST_CLAIMS
from flows.openflow.pipeline import ALL_HOLDERS, INGRESS_ANY, SHARED
from flows.policy.objects import (
    AddressPair,
    Change,
    Direction,
    Ethertype,
    Network,
    PolicyObject,
    Port,
    Prefix,
    Rule,
    SecurityGroup,
)

pytestmark = pytest.mark.switch

COUNT = MOST_CLAIMS[SHARED.id] + 1
BLUE, GROUP, HTTP = (str(uuid4()) for _ in range(3))


def objects() -> list[PolicyObject]:
    """Ports that share an address, one more than a flow can deliver to; a rule for TCP port 80."""
    pairs = (AddressPair("00:00:5e:00:01:01", Prefix.parse("10.0.0.100")),)
    rule = Rule(HTTP, 0, GROUP, Direction.INGRESS, Ethertype.IPV4, 6, 80, 80)
    made: list[PolicyObject] = [Network(BLUE, "blue"), SecurityGroup(GROUP, "routers"), rule]
    for number in range(1, COUNT + 1):
        name, mac = f"r{number}", f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"
        groups = frozenset([GROUP])
        made.append(
            Port(str(uuid4()), name, BLUE, mac, name, security_groups=groups, allowed_address_pairs=pairs)
        )
    return made


def test_a_flow_that_does_not_fit_is_reported_and_blocks_nothing() -> None:
    def flows(match: str) -> str:
        lines = here.ovs.ofctl("--no-stats", "dump-flows", BRIDGE, match).splitlines()
        return "".join(line for line in lines if "actions=" in line)

    def error() -> str:
        here.store.run()
        (switch,) = here.store.switches.values()
        return switch.error

    with Installation() as here:
        here.connect()
        here.plug([f"r{number}" for number in range(1, COUNT + 1)])
        here.commit([Change(None, each) for each in objects()])
        here.confirm()
        for flow in (
            f"{SHARED.name} of reg10=0x1,reg11=0x0",
            f"{ALL_HOLDERS.name} of reg10=0x1,dl_dst=00:00:5e",
        ):
            assert re.search(rf"network blue: {flow}\S* is left out: {COUNT} ports", error())
        assert re.search(r"\(r\d+, r\d+, r\d+ …\)$", error())
        assert not flows(f"table={SHARED.id},reg11=0x0")
        assert "tp_dst=80" in flows(f"table={INGRESS_ANY.id}")
        here.commit([Change(here.store.objects[Rule][HTTP], None)])
        assert "tp_dst=80" not in flows(f"table={INGRESS_ANY.id}"), "removed rules are gone nevertheless"
        one = next(iter(here.store.objects[Port].values()))
        here.commit([Change(one, None)])
        here.confirm()
        assert not error()
        assert flows(f"table={SHARED.id},reg11=0x0")
