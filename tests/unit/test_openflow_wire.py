"""Our bytes against Ryu's; what Ryu cannot encode is compared on a real switch, in tests/ovs."""

from __future__ import annotations

import struct
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.openflow import actions as a
from flows.openflow import fields as f
from flows.openflow import numbers, table, wire
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.fields import Field, Match, Term
from flows.openflow.flow import Flow, match_bytes
from flows.policy.objects import PolicyObject
from tests.examples import examples
from tests.unit import ryu_encoding as ryu
from tests.unit.strategies import policies
from tests.unit.test_openflow_pipeline import compiled

FIELDS = [each for each in vars(f).values() if isinstance(each, Field)]
UNKNOWN = {f.CT_NW_PROTO, f.CT_NW_SRC, f.CT_NW_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST, f.CT_TP_SRC, f.CT_TP_DST}
KNOWN = [each for each in (*FIELDS, *map(f.register, range(16))) if each not in UNKNOWN]


@st.composite
def terms(draw: st.DrawFn) -> Term:
    field = draw(st.sampled_from(KNOWN))
    mask = draw(st.one_of(st.none(), st.integers(0, field.full).map(lambda bits: bits | field.least_mask)))
    value = draw(st.integers(0, field.full))
    return field(value if mask is None else value & mask, mask)


@given(terms())
def test_conditions_match_ryus_encoding(term: Term) -> None:
    assert term.oxm == ryu.term_bytes(term)


@pytest.mark.parametrize("field", sorted(UNKNOWN, key=str), ids=str)
def test_ryu_does_not_know_our_fields(field: Field) -> None:
    """When Ryu supports them, they can be compared here."""
    with pytest.raises(ryu.UnknownToRyu):
        ryu.term_bytes(field(0))


def test_values_that_do_not_fit_are_refused() -> None:
    for field in FIELDS:
        for value, mask in ((field.full + 1, None), (1, 0), (-1, None), (field.full, field.full - 1)):
            with pytest.raises(ValueError, match="does not fit"):
                field(value, mask)


def test_a_full_mask_is_no_mask() -> None:
    assert f.ETH_DST(1, f.ETH_DST.full) == f.ETH_DST(1)


PORT32 = st.integers(1, 0xFFFFFEFF)
REGISTERS = st.integers(0, 15).map(f.register)
NOTES = st.builds(
    a.Move, st.just(f.ETH_DST), st.just(f.CT_LABEL), st.just(0), st.integers(0, 80), st.integers(1, 128)
)
ACTIONS = st.one_of(
    st.builds(a.Resubmit, st.integers(0, 253)),
    st.builds(a.SetField, REGISTERS, st.integers(0, 0xFFFFFFFF)),
    st.builds(a.SetField, st.just(f.ETH_DST), st.integers(0, f.ETH_DST.full)),
    st.builds(a.Move, REGISTERS, REGISTERS, st.just(0), st.just(0), st.integers(1, 128)),
    NOTES,
    st.builds(a.Load, st.integers(0, 15), REGISTERS, st.integers(0, 28), st.just(4)),
    st.builds(a.Output, PORT32),
    st.builds(a.ToController, st.integers(1, 0xFFE5)),
    st.builds(a.OutputRegister, REGISTERS),
    st.builds(
        a.Bundle,
        st.lists(st.integers(1, 0xFEFF), min_size=1, max_size=9).map(tuple),
        st.booleans(),
        st.one_of(st.none(), REGISTERS),
    ),
    st.integers(2, 64).flatmap(
        lambda clauses: st.builds(
            a.Conjunction, st.integers(0, 0xFFFFFFFF), st.integers(1, clauses), st.just(clauses)
        )
    ),
    st.builds(
        a.Conntrack,
        REGISTERS | st.integers(0, 65535),
        st.one_of(st.none(), st.integers(0, 253)),
        st.booleans(),
        st.lists(NOTES, max_size=2).map(tuple),
    ),
    st.just(a.PopVlan()),
    st.builds(a.PushVlan, st.integers(1, 4094)),
)


@given(ACTIONS)
def test_actions_match_ryus_encoding(action: a.Action) -> None:
    assert action.encode() == ryu.action_bytes(action)


@settings(max_examples=examples(15), suppress_health_check=list(HealthCheck))
@given(policies())
def test_flow_mods_match_ryus_encoding(objects: list[PolicyObject]) -> None:
    compared: Counter[int] = Counter()
    for flow in compiled(objects).values():
        try:
            expected = ryu.message_bytes(ryu.add_flow(flow), 7)
        except ryu.UnknownToRyu:
            continue
        assert wire.add_flow(flow, 7) == expected, str(flow)
        assert wire.bundle_edit(3, flow, 7) == wire.bundle_add(3, expected, 7)
        compared[flow.key.table] += 1
    assert len(compared) > 20
    assert compared.total() > 100


FLOW = Flow(p.FORWARD, 100, (r.ZONE(10), f.ETH_DST(1)), (a.Resubmit(50),))


def test_deletions_match_ryus_encoding() -> None:
    strict = ryu.add_flow(FLOW)
    strict.cookie, strict.cookie_mask = numbers.COOKIE_TAG << 56, 0xFF << 56
    strict.command, strict.instructions = ryu.ofproto.OFPFC_DELETE_STRICT, []
    assert wire.delete_flow(FLOW.key, 7) == ryu.message_bytes(strict, 7)
    by_cookie = ryu.parser.OFPFlowMod(
        ryu.DATAPATH,
        cookie=FLOW.cookie,
        cookie_mask=(1 << 64) - 1,
        table_id=ryu.ofproto.OFPTT_ALL,
        command=ryu.ofproto.OFPFC_DELETE,
        priority=0,
        out_port=ryu.ofproto.OFPP_ANY,
        out_group=ryu.ofproto.OFPG_ANY,
    )
    assert wire.delete_by_cookie(FLOW.cookie, 7) == ryu.message_bytes(by_cookie, 7)


def test_bundles_and_barriers_match_ryus_encoding() -> None:
    flags = ryu.ofproto.OFPBF_ATOMIC | ryu.ofproto.OFPBF_ORDERED
    for ours, theirs in (
        (wire.BUNDLE_OPEN, ryu.ofproto.OFPBCT_OPEN_REQUEST),
        (wire.BUNDLE_COMMIT, ryu.ofproto.OFPBCT_COMMIT_REQUEST),
        (wire.BUNDLE_DISCARD, ryu.ofproto.OFPBCT_DISCARD_REQUEST),
    ):
        control = ryu.parser.OFPBundleCtrlMsg(ryu.DATAPATH, 3, theirs, flags, [])
        assert wire.bundle_control(3, ours, 7) == ryu.message_bytes(control, 7)
    inner = ryu.add_flow(FLOW)
    inner.set_xid(7)
    add = ryu.parser.OFPBundleAddMsg(ryu.DATAPATH, 3, flags, inner, [])
    expected = ryu.message_bytes(add, 7)
    assert wire.bundle_add(3, wire.add_flow(FLOW, 1), 7) == expected
    assert wire.bundle_edit(3, FLOW, 7) == expected
    assert wire.barrier_request(7) == ryu.message_bytes(ryu.parser.OFPBarrierRequest(ryu.DATAPATH), 7)


def statistics(table: int, cookie: int, extra: bytes = b"", match: Match = ()) -> bytes:
    body = match_bytes(match) + extra
    return struct.pack("!HBxIIHHHH4xQQQ", 48 + len(body), table, 1, 2, 3, 4, 5, 0, cookie, 6, 7) + body


def test_installed_flows_are_read_without_their_matches() -> None:
    entry = statistics(90, 0x5C << 56 | 9, bytes(16))
    buffer = bytes(3) + entry
    assert wire.installed_flow(buffer, 3) == (len(entry), wire.Installed(90, 0x5C << 56 | 9))


@pytest.mark.parametrize(
    ("table", "cookie", "match", "instructions", "bypasses"),
    [
        (p.CLASSIFY, 0, (), bytes(16), True),
        (p.CLASSIFY, 0, (), b"", False),
        (p.CLASSIFY, 0, (r.ZONE(7), f.ETH_DST(2)), b"", False),
        (p.CLASSIFY, 0, (r.ZONE(7), f.ETH_DST(2)), bytes(8), True),
        (p.CLASSIFY, numbers.COOKIE_TAG << 56, (), bytes(16), False),
        (p.FDB, numbers.LEARNED_COOKIE_TAG << 56 | 3, (), bytes(16), False),
        (p.FDB, 0, (), bytes(16), True),
        (p.CLASSIFY, numbers.LEARNED_COOKIE_TAG << 56 | 3, (), bytes(16), True),
        (None, 0, (), bytes(16), False),
    ],
)
def test_flows_of_others_that_bypass_ours_are_told_apart(
    table: table.Table | None, cookie: int, match: Match, instructions: bytes, bypasses: bool
) -> None:
    number = table.id if table else 120
    entry = statistics(number, cookie, instructions, match)
    assert wire.installed_flow(entry + bytes(99), 0) == (
        len(entry),
        wire.Installed(number, cookie, bypasses),
    )


@given(st.integers(0, 2**56 - 1))
def test_requests_for_flows_of_others_cover_each_cookie_once(rest: int) -> None:
    for tag in range(256):
        met = sum((tag << 56 | rest) & mask == cookie for cookie, mask in wire.OTHERS_COOKIES)
        assert met == (tag not in (numbers.COOKIE_TAG, numbers.LEARNED_COOKIE_TAG))


@given(st.integers(0, 55))
def test_truncated_flow_statistics_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="cut short"):
        wire.installed_flow(statistics(90, 1)[:length], 0)


def test_flow_statistics_with_a_wrong_length_do_not_loop() -> None:
    for length in (0, 8, 31):
        with pytest.raises(ValueError, match="cut short"):
            wire.installed_flow(struct.pack("!H", length) + statistics(90, 1)[2:], 0)


def test_reconciling_says_what_is_missing_and_what_is_foreign_but_ours() -> None:
    other = Flow(p.FORWARD, 100, (r.ZONE(10), f.ETH_DST(2)), (a.Resubmit(50),))
    gone = Flow(p.FORWARD, 100, (r.ZONE(10), f.ETH_DST(3)), (a.Resubmit(50),))
    theirs, learned = 0x99 << 56, numbers.LEARNED_COOKIE_TAG << 56 | 1
    cookies = (FLOW.cookie, gone.cookie, theirs, learned, 0)
    installed = [wire.Installed(p.FORWARD.id, cookie) for cookie in cookies]
    missing, foreign = wire.reconcile([FLOW, other], installed, numbers.COOKIE_TAG)
    assert (missing, foreign) == ([other], [gone.cookie])


def test_a_flow_that_differs_in_anything_has_another_cookie() -> None:
    one = Flow(p.EGRESS_ANY, 100, (), (a.SetField(r.VERDICT, 1),))
    others = [
        Flow(p.INGRESS_ANY, 100, (), one.actions),
        Flow(p.EGRESS_ANY, 101, (), one.actions),
        Flow(p.EGRESS_ANY, 100, (r.LOCAL(1),), one.actions),
        Flow(p.EGRESS_ANY, 100, (), (a.SetField(r.VERDICT, 2),)),
        Flow(p.EGRESS_ANY, 100, (), ()),
    ]
    assert len({flow.cookie for flow in (one, *others)}) == 6
    assert Flow(p.EGRESS_ANY, 100, (), (a.SetField(r.VERDICT, 1),)).cookie == one.cookie
