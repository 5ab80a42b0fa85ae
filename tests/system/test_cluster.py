"""Two hosts with a switch and a controller each, and a policy database on three servers of which some die."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.background_traffic import Stream
from lab.drilled_policy import ALLOWED
from lab.hosts import BRIDGE, FAULTS, HostDrill, HostPair
from lab.site import ALL_OUT, connects, echoes, group

pytestmark = pytest.mark.switch

SEED = 3


@pytest.fixture
def pair(private_network: None) -> Iterator[HostPair]:
    with HostPair() as running:
        yield running


def test_remote_groups_span_hosts_while_members_die(
    pair: HostPair, capsys: pytest.CaptureFixture[str]
) -> None:
    with HostDrill(pair, SEED) as drill:
        for fault in (*FAULTS, *FAULTS):
            each = drill.strike(fault)
            with capsys.disabled():
                print(f"\n{each}", end="")
            assert each.delivered == 0
            assert each.lost == 0
            assert each.streams_alive
            assert each.obeyed, "a switch does not enforce an acknowledged change"
        drill.writer.close()
        acknowledged, lost = len(drill.writer.acknowledged), drill.lost_writes()
    with capsys.disabled():
        print(f"\n{2 * len(FAULTS)} faults, {acknowledged} writes acknowledged, {lost} lost")
    assert acknowledged > 2 * len(FAULTS)
    assert lost == 0
    for host in pair.hosts:
        assert host.site.sgctl("verify") == f"{BRIDGE}: as expected\n"


def test_a_revoke_reaches_both_hosts(pair: HostPair) -> None:
    """A command on the other host removes a workload from its group, while the leader is dead."""
    first, second = pair.hosts
    w = pair.workloads
    with Stream(w[1], w[12], "10.0.0.12", 80) as revoked, Stream(w[11], w[2], "10.0.0.2", 80) as kept:
        assert revoked.flows()
        assert kept.flows()
        next(member for member in pair.cluster.members if member.leads).kill()
        begin = time.monotonic()
        second.site.sgctl.apply([first.site.port_document(1, ["other"])])
        pair.wait_applied()
        assert time.monotonic() - begin < 10
        assert not revoked.flows(1.0)
        assert kept.flows()
    assert not connects(w[1], w[2], "10.0.0.2", 80), "nor on the same host"
    assert connects(w[11], w[12], "10.0.0.12", 80)


def test_a_grant_reaches_both_hosts(pair: HostPair) -> None:
    first, second = pair.hosts
    w = pair.workloads
    assert not echoes(w[3], w[12], "10.0.0.12", ALLOWED)
    first.site.sgctl.apply([second.site.port_document(3, ["client"]), group("other", ALL_OUT)])
    pair.wait_applied()
    assert echoes(w[3], w[12], "10.0.0.12", ALLOWED)
    assert echoes(w[3], w[2], "10.0.0.2", ALLOWED)
    assert not echoes(w[13], w[2], "10.0.0.2", ALLOWED)
