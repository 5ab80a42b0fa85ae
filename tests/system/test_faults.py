"""No crash opens a hole or cuts an allowed connection; no acknowledged write is lost.

FAULTS=n sets the number of faults and SEED=s their order (`make faults`); the default is few faults.
"""

from __future__ import annotations

import os
import re
from statistics import median

import pytest

from lab.faults import Drill, Round, sequence
from lab.process import wait_until
from lab.site import ALL_OUT, Site, group, tcp_in

pytestmark = pytest.mark.switch

FAULTS = int(os.environ.get("FAULTS", "8"))
SEED = int(os.environ.get("SEED", "1"))


def summary(rounds: list[Round]) -> list[str]:
    """One line for each kind of fault."""
    lines = []
    for fault in sorted({each.fault for each in rounds}):
        outages = [each.outage * 1000 for each in rounds if each.fault == fault]
        times = [each.converged for each in rounds if each.fault == fault]
        outage = f"outage median {median(outages):5.0f} max {max(outages):5.0f} ms"
        converged = f"converged median {median(times):5.2f} max {max(times):5.2f} s"
        lines.append(f"{fault:<34} {len(times):3d} times  {outage}  {converged}")
    return lines


def test_random_faults(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = []
    with Drill(site, SEED).running() as drill:
        for fault in sequence(FAULTS, SEED):
            each = drill.strike(fault)
            rounds.append(each)
            with capsys.disabled():
                print(f"\n{each}", end="")
            assert each.delivered == 0
            assert each.obeyed, "the switch does not enforce an acknowledged change"
            assert each.stream_alive or fault.cuts
            assert each.lost == 0 or fault.halts
        drill.writer.close()
        lost = drill.writer.lost_writes(site.controller.db)
        acknowledged, refused = len(drill.writer.acknowledged), drill.writer.refused
    with capsys.disabled():
        print("", *summary(rounds), sep="\n")
        print(
            f"{len(rounds)} faults, {acknowledged} writes acknowledged, {refused} refused, {len(lost)} lost"
        )
    assert not lost
    assert acknowledged > len(rounds)


def test_a_controller_restart_changes_no_flows(site: Site) -> None:
    site.apply(group("web", tcp_in(80), ALL_OUT), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    before, told = _ages(site), len(site.controller.log.read_text())
    for end in (site.controller.kill, site.controller.stop):
        end()
        site.controller.start()
        site.sgctl.wait()
    # A start compares twice when the bridge itself has also connected.
    compared = re.findall(r": (\d+) flows to add, (\d+) to remove", site.controller.log.read_text()[told:])
    assert len(compared) >= 2
    assert set(compared) == {("0", "0")}
    after = _ages(site)
    assert after.keys() == before.keys()
    assert all(after[cookie] > before[cookie] for cookie in before), "no flow was sent again"


def _ages(site: Site) -> dict[str, float]:
    """The age in seconds of each flow with our cookie tag, by cookie."""
    lines = [line for line in site.ovs.ofctl("dump-flows", "br0").splitlines() if "cookie=0x5c" in line]
    words = [line.replace(",", "").split() for line in lines]
    return {word[0]: float(word[1].removeprefix("duration=").removesuffix("s")) for word in words}


def test_only_our_flows_are_reconciled(site: Site) -> None:
    """Flows are added and removed while the controller does not run."""
    site.apply(group("web", tcp_in(80)), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    expected = _installed(site)
    site.controller.kill()
    site.ovs.ofctl("add-flow", "br0", "cookie=0x77,table=70,priority=5,ip,actions=drop")
    site.ovs.ofctl("add-flow", "br0", "cookie=0x5c00000000000009,table=70,priority=60000,ip,actions=output:1")
    site.ovs.ofctl("del-flows", "br0", "table=11")
    site.controller.start()
    site.sgctl.wait()
    others = [line for line in _installed(site) if "cookie=0x77" in line]
    assert len(others) == 1
    assert [line for line in _installed(site) if line not in others] == expected


def _installed(site: Site) -> list[str]:
    """All flows except learned ones, which depend on the current traffic."""
    lines = site.ovs.ofctl("dump-flows", "--no-stats", "br0").splitlines()
    return sorted(line for line in lines if not line.startswith(" cookie=0x5d"))


def test_a_restarted_switch_is_programmed_again(site: Site) -> None:
    site.apply(group("web", tcp_in(80)), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    before = _ages(site)
    site.ovs.kill_switch()
    site.ovs.start_switch()
    wait_until(lambda: _ages(site).keys() == before.keys(), "the switch holds the same flows again")
    site.sgctl.wait()
    assert site.sgctl("verify") == "br0: as expected\n"


def test_in_band_control_is_disabled(site: Site) -> None:
    """Open vSwitch's hidden flows for a remote controller would let workloads pose as it."""
    wait_until(
        lambda: "disable-in-band" in site.ovs.vsctl("get", "Bridge", "br0", "other_config"),
        "in-band control is off",
    )


def test_a_reset_controller_is_tried_every_second(site: Site) -> None:
    for _ in range(5):
        site.ovs.vsctl("set-controller", "br0", "tcp:127.0.0.1:1")
        site.ovs.vsctl("set-controller", "br0", site.controller.target)
        wait_until(
            lambda: site.ovs.vsctl("--columns=max_backoff", "list", "controller").split()[-1] == "1000",
            "the longest wait is a second",
        )
