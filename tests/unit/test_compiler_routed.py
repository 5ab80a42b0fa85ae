"""Subnets of one network that a router outside joins."""

from __future__ import annotations

from flows.compiler.routed import routed_flows
from flows.openflow import pipeline as p
from flows.policy.objects import Network, Prefix

ZONE = 1


def network(*subnets: str) -> Network:
    return Network("blue", "blue", subnets=tuple(map(Prefix.parse, subnets)))


def test_a_router_returns_packets_only_between_subnets_of_a_family() -> None:
    """A network with one subnet of each family has nothing for a router to return."""
    assert not list(routed_flows(network("10.0.0.0/24", "2001:db8::/64"), ZONE))
    for one, other in (("10.0.0.0/24", "10.0.1.0/24"), ("2001:db8::/64", "2001:db8:1::/64")):
        flows = list(routed_flows(network(one, other), ZONE))
        assert any(flow.key.table == p.RETURNED.id for flow in flows)
