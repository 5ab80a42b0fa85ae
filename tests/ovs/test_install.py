"""The flows on a real switch after loading them as bytes, as text, and as differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test

from flows.openflow import actions as a
from flows.openflow import fields as f
from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.flow import Flow, FlowDiff, FlowKey
from flows.openflow.wire import Installed
from flows.policy.objects import PolicyObject
from lab.ovs import PrivateOvs
from tests.ovs.bridge import BareBridge
from tests.ovs.openflow import Refused
from tests.unit.strategies import policies
from tests.unit.test_compiler_paths import Paths
from tests.unit.test_openflow_pipeline import compiled

pytestmark = pytest.mark.switch

FEW = settings(max_examples=8, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def by_bytes(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "bytes", {}) as made:
        yield made


@pytest.fixture(scope="module")
def by_text(shared_ovs: PrivateOvs) -> Iterator[BareBridge]:
    with BareBridge(shared_ovs, "text", {}) as made:
        yield made


def replace_by_text(bridge: BareBridge, flows: Mapping[FlowKey, Flow]) -> None:
    lines = "\n".join(f"cookie={flow.cookie:#x},{flow}" for flow in flows.values())
    bridge.ovs.ofctl("del-meters", bridge.name)
    bridge.ovs.add_meters(bridge.name, lines)
    bridge.ovs.ofctl("--bundle", "replace-flows", bridge.name, "-", stdin=lines)


def dump(bridge: BareBridge) -> list[str]:
    lines = bridge.ovs.ofctl("--no-stats", "--no-names", "dump-flows", bridge.name).splitlines()
    return sorted(line for line in lines if "actions=" in line)


def expected(flows: Mapping[FlowKey, Flow]) -> list[Installed]:
    return sorted(Installed(flow.key.table, flow.cookie) for flow in flows.values())


@FEW
@given(policies())
def test_flows_are_the_same_from_text_and_bytes(
    by_bytes: BareBridge, by_text: BareBridge, objects: list[PolicyObject]
) -> None:
    flows = compiled(objects)
    by_bytes.load(flows)
    replace_by_text(by_text, flows)
    assert len(flows) > 100
    assert dump(by_bytes) == dump(by_text)
    assert sorted(by_bytes.installed()) == expected(flows)


def test_every_field_and_action_is_the_same_in_text_and_bytes(
    by_bytes: BareBridge, by_text: BareBridge
) -> None:
    """Flows that a small policy may not need."""
    learn = a.Learn(
        p.FDB.id,
        100,
        0x5D << 56,
        300,
        4096,
        matches=((r.ZONE, r.ZONE), (f.ETH_SRC, f.ETH_DST)),
        loads=((f.IN_PORT, r.OUT),),
        bound=True,
    )
    actions: tuple[a.Action, ...] = (
        learn,
        a.PushVlan(4094),
        a.Move(r.SOURCE, r.LOCAL),
        a.SetField(r.LOCAL, (1 << 64) - 2),
        a.OutputRegister(r.OUT),
    )
    copied = a.Clone((a.Conntrack(65535), a.Conntrack(r.ZONE, commit=True)))
    track = (a.Conntrack(r.ZONE, 30), copied, a.Conntrack(r.ZONE, commit=True))
    untag = Flow(p.CLASSIFY, 1, (f.VLAN_VID(0x1064),), (a.PopVlan(), a.Resubmit(5)))
    tracked = Flow(p.CONNTRACK, 1, (f.ETH_TYPE(0x0800),), track)
    everywhere = (Flow(table, 65535, (), actions) for table in p.TABLES)
    flows = {flow.key: flow for flow in (untag, tracked, *everywhere)}
    by_bytes.load(flows)
    replace_by_text(by_text, flows)
    assert dump(by_bytes) == dump(by_text)


class PathsOnSwitch(Paths):
    """The same changes, with every difference sent to a bridge, whose flows are read after a reconnect."""

    def __init__(self, bridge: BareBridge) -> None:
        self._bridge = bridge
        super().__init__()

    def _check(self) -> None:
        super()._check()
        self._send()

    def _reconcile(self) -> None:
        self._send()
        super()._reconcile()

    def _installed(self) -> list[Installed]:
        return self._bridge.installed()

    def _send(self) -> None:
        before = self._bridge.flows
        removed = [flow for key, flow in before.items() if key not in self.table]
        added = [flow for key, flow in self.table.items() if before.get(key) != flow]
        self._bridge.apply(FlowDiff(added, removed))
        self._bridge.flows = dict(self.table)
        assert sorted(self._bridge.installed()) == expected(self.table)


def test_differences_lead_to_the_expected_flows_on_the_switch(by_bytes: BareBridge) -> None:
    some = settings(FEW, max_examples=30, stateful_step_count=12)
    run_state_machine_as_test(lambda: PathsOnSwitch(by_bytes), settings=some)  # type: ignore[arg-type]  # any factory


def test_a_bundle_with_a_bad_flow_changes_nothing(by_bytes: BareBridge) -> None:
    by_bytes.load({})
    good = Flow(p.FORWARD, 100, (r.ZONE(1),), ())
    bad = Flow(p.FORWARD, 100, (r.ZONE(2),), (a.Output(0xFFFFFFF0),))
    with pytest.raises(Refused, match="reg10=0x2"):
        by_bytes.apply(FlowDiff([good, bad], []))
    assert by_bytes.installed() == []


def test_deleting_keeps_flows_of_others(by_bytes: BareBridge) -> None:
    by_bytes.load({})
    ours = Flow(p.FORWARD, 100, (r.ZONE(1),), ())
    by_bytes.ovs.ofctl("add-flow", by_bytes.name, f"cookie=0x99,{ours}")
    by_bytes.apply(FlowDiff([], [ours]))
    assert by_bytes.installed() == [Installed(p.FORWARD.id, 0x99)]
    by_bytes.ovs.ofctl("del-flows", by_bytes.name)
