"""Messages have the same signature only if Open vSwitch can parse all or none of them."""

from __future__ import annotations

import pytest

from flows.openflow import actions as a
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.actions import Action
from flows.openflow.fields import Term
from flows.openflow.flow import Flow
from flows.openflow.message_signature import FIRST_RESERVED_PORT, signature
from flows.openflow.table import Table
from flows.openflow.wire import DropCounters, Edit

IPV4, IPV6 = f.ETH_TYPE(0x0800), f.ETH_TYPE(0x86DD)
TCP = (IPV4, f.IP_PROTO(6))


def flow(*match: Term, do: tuple[Action, ...] = (), table: Table = p.ADMIT) -> Flow:
    return Flow(table, 100, match, do)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (flow(r.ZONE(1)), flow(r.ZONE(2))),
        (flow(IPV4, f.IPV4_SRC(1)), flow(IPV4, f.IPV4_SRC(2))),
        (flow(*TCP, f.TCP_DST(80)), flow(*TCP, f.TCP_DST(443))),
        (flow(do=(a.Output(1),)), flow(do=(a.Output(2), a.Output(3)))),
        (flow(do=(a.Conjunction(16, 1, 2),)), flow(do=(a.Conjunction(17, 1, 2),))),
        (flow(do=(a.SetField(r.OUT, 1),)), flow(do=(a.SetField(r.OUT, 2),))),
        (flow(r.ZONE(1)).key, flow(r.ZONE(2)).key),
        (DropCounters((f.IN_PORT(1),)), DropCounters((f.IN_PORT(2),))),
        (0x5C1, 0x5C2),
    ],
)
def test_numbers_do_not_change_the_signature(one: Edit, other: Edit) -> None:
    assert signature(one) == signature(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (flow(r.ZONE(1)), flow(r.ZONE(1), table=p.FORWARD)),
        (flow(IPV4), flow(IPV6)),
        (flow(IPV4, f.IP_PROTO(6)), flow(IPV4, f.IP_PROTO(17))),
        (flow(IPV4, f.IPV4_SRC(0)), flow(IPV4, f.IPV4_SRC(0, 0xFFFFFF00))),
        (flow(IPV4, f.IPV4_SRC(1)), flow(IPV4, f.IPV4_DST(1))),
        (flow(do=(a.Output(5),)), flow(do=(a.Resubmit(5),))),
        (flow(do=(a.Resubmit(5),)), flow(do=(a.Resubmit(6),))),
        (flow(do=(a.Output(FIRST_RESERVED_PORT - 1),)), flow(do=(a.Output(FIRST_RESERVED_PORT),))),
        (DropCounters((f.IN_PORT(1),)), DropCounters((f.IN_PORT(FIRST_RESERVED_PORT),))),
        (flow(do=(a.Conjunction(16, 1, 2),)), flow(do=(a.Conjunction(16, 2, 2),))),
        (flow(do=(a.Conjunction(16, 1, 2),)), flow(do=(a.Conjunction(16, 1, 2), a.Output(1)))),
        (flow(do=(a.SetField(r.OUT, 1),)), flow(do=(a.SetField(r.ZONE, 1),))),
        (flow(do=(a.PushVlan(1), a.PopVlan())), flow(do=(a.PopVlan(), a.PushVlan(1)))),
        (flow(r.ZONE(1)), flow(r.ZONE(1)).key),
        (flow(r.ZONE(1)).key, 0x5C1),
    ],
)
def test_other_differences_change_the_signature(one: Edit, other: Edit) -> None:
    assert signature(one) != signature(other)
