"""The figures, in the order in which they are printed, each with its unit and its goal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sgctl.optimizations import OPTIMIZATIONS

Values = Mapping[str, float]
"""The measured values of one figure: any of `ours`, `neutron`, `ovn`, `limit`."""

Judge = Callable[[Values], bool]

ALLOCATOR = "allocator"
OF_CONTROLLER = tuple(name for name in OPTIMIZATIONS if name != ALLOCATOR)
"""The optimizations that a restart of the controller switches; the other one is the database server's."""


@dataclass(frozen=True)
class Goal:
    """A figure. `needs` are the columns that `reached` needs; without any there is no goal."""

    key: str
    figure: str
    unit: str
    text: str = ""
    reached: Judge | None = None
    needs: tuple[str, ...] = ("ours",)

    def met(self, values: Values) -> bool | None:
        """Whether the goal is met; None without a goal or when values are missing."""
        if self.reached is None or any(column not in values for column in self.needs):
            return None
        return self.reached(values)


def _at_most(key: str, figure: str, unit: str, most: float) -> Goal:
    return Goal(key, figure, unit, f"≤ {most:g} {unit}".strip(), lambda values: values["ours"] <= most)


def _at_least(key: str, figure: str, unit: str, least: float) -> Goal:
    return Goal(key, figure, unit, f"≥ {least:g} {unit}".strip(), lambda values: values["ours"] >= least)


def _near_limit(key: str, figure: str) -> Goal:
    def reached(values: Values) -> bool:
        return values["ours"] <= 1.5 * values["limit"]

    return Goal(key, figure, "s", "≤ 1.5 × limit", reached, ("ours", "limit"))


def _not_below_floor(key: str, figure: str) -> Goal:
    """A goal that allows for an error of two standard errors."""

    def reached(values: Values) -> bool:
        return values["ours"] + 2 * values["error"] >= 1

    return Goal(key, figure, "×", "not measurably below 1", reached, ("ours", "error"))


def _plain(key: str, figure: str, unit: str) -> Goal:
    return Goal(key, figure, unit)


def _edits(size: str, name: str) -> list[Goal]:
    """The edits at one size; the same bounds hold at every size."""
    at = f"{name}, request to confirmed"
    return [
        _at_most(f"rule_add_{size}", f"one rule added at {at}", "ms", 8),
        _at_most(f"rule_remove_{size}", f"one rule removed at {at}", "ms", 8),
        _plain(f"remote_rule_add_{size}", f"one rule with a remote group added at {at}", "ms"),
        _at_most(f"member_add_{size}", f"one member added at {at}", "ms", 5),
        _at_most(f"member_remove_{size}", f"one member removed at {at}", "ms", 5),
        _at_most(f"port_add_{size}", f"one port added at {at}", "ms", 10),
        _at_most(f"port_remove_{size}", f"one port removed at {at}", "ms", 10),
        _plain(f"nothing_{size}", f"nothing changed at {at}", "ms"),
    ]


def _no_more_flows(values: Values) -> bool:
    return values["ours"] <= values["neutron"] / 4 and values["ours"] <= values["ovn"]


GOALS: list[Goal] = [
    Goal(
        "flows_400",
        "flows at W(400, 1000)",
        "flows",
        "≤ 1/4 Neutron, ≤ OVN",
        _no_more_flows,
        ("ours", "neutron", "ovn"),
    ),
    _plain("flows_400_uplink", "the same with an uplink, where the peers guard nothing", "flows"),
    _plain("flows_2000", "flows at W(2000, 10000)", "flows"),
    _plain("slope_port", "flows for one more port", "flows"),
    _at_most("slope_member", "flows for one more member", "flows", 4),
    _at_most("slope_rule", "flows for one more TCP rule from anywhere, at any P", "flows", 8),
    _near_limit("program_400", "first full programming of W(400, 1000), request to confirmed"),
    _near_limit("connect_400", "a switch without flows connects at W(400, 1000), until confirmed"),
    _near_limit("program_2000", "first full programming of W(2000, 10000), request to confirmed"),
    _near_limit("connect_2000", "a switch without flows connects at W(2000, 10000), until confirmed"),
    *_edits("400", "W(400, 1000)"),
    Goal("rule_vs_neutron", "the same rule, Neutron's time to ours", "×", "≥ 1000 ×"),
    Goal("rule_vs_ovn", "the same rule, OVN's time to ours", "×", "≥ 10 ×"),
    *_edits("2000", "W(2000, 10000)"),
    _plain("plug", "device plugged in until its port's flows are confirmed, W(400, 1000)", "ms"),
    _at_most("restart", "restart at W(400, 1000) with the flows in place, start to verified", "s", 1),
    _plain("restart_connected", "of this, from the switch's connection on", "s"),
    _at_most("restart_flow_mods", "flows added, changed or removed by the restart", "flows", 0),
    _at_most("restart_lost", "packets lost during the restart", "packets", 0),
    _at_most("revoke_forward", "rule removed until the last packet of a connection, to the server", "ms", 20),
    _at_most("revoke_reverse", "rule removed until the last packet of a connection, to the client", "ms", 20),
    _plain("revoke_group", "the same when the rule was the last to name a group of 400 members", "ms"),
    _at_most("edit_lost", "packets lost by allowed connections during random rule changes", "packets", 0),
    _plain("edit_count", "random rule changes made meanwhile", "changes"),
    _at_most("megaflows_open", "megaflows for 10,000 random sources, open port", "megaflows", 5),
    _at_most("megaflows_closed", "megaflows for 10,000 random sources, closed port", "megaflows", 50),
    _at_most("passes", "datapath passes per packet between two local ports", "passes", 2.02),
    _at_most("ct_lookups", "conntrack lookups per packet between two local ports", "lookups", 1),
    _at_least("throughput", "throughput between two local ports, to NORMAL", "×", 0.93),
    _at_least("connections", "new connections per second, to NORMAL", "×", 0.93),
    _plain("cpu", "vswitchd CPU per packet, to NORMAL", "×"),
    _not_below_floor("throughput_floor", "throughput, to one ct() without policy"),
    _not_below_floor("connections_floor", "new connections per second, to one ct() without policy"),
    Goal(
        "cpu_floor",
        "vswitchd CPU per packet, to one ct() without policy",
        "×",
        "not measurably above 1",
        lambda values: values["ours"] - 2 * values["error"] <= 1,
        ("ours", "error"),
    ),
    _at_most("scale_compile", "simulation: 10,000 ports, 100,000 rules and addresses: compile", "s", 20),
    _at_most("scale_memory", "simulation: memory", "MB", 1024),
    _at_most("scale_edit", "simulation: a single edit, worst median of rule, member, port", "ms", 5),
    _plain("scale_flows", "simulation: flows", "flows"),
    _at_least("encoder", "flow mods encoded in a bundle, one core", "per s", 100_000),
    *(
        _plain(f"without_{name}_{what}", f"{text} without the optimization `{name}`, to with it", "×")
        for name in OF_CONTROLLER
        for what, text in (("restart", "restart at W(400, 1000)"), ("rule", "one rule added or removed"))
    ),
    _plain(
        f"without_{ALLOCATOR}_commit",
        f"database server's CPU for W(1400, 1000) without the optimization `{ALLOCATOR}`, to with it",
        "×",
    ),
    _plain("start_python", "the Python interpreter alone, start to exit", "ms"),
    _plain("start_help", "`sgctl --help`, start to exit", "ms"),
    _plain("start_complete", "completion of a command's name, start to exit", "ms"),
    _plain("start_get", "`sgctl get ports` with 20 ports, start to exit", "ms"),
    _at_least("stream_rate", "changes per second sustained from the API", "per s", 990),
    _at_most("stream_lost", "of these changes, not on the switch at the end", "changes", 0),
    _at_most("stream_p99", "latency of these changes, p99", "ms", 250),
    _plain("stream_coalesced", "changes per confirmed generation", "changes"),
    _plain("busy_idle", "an admin deletes a rule by the API until it is gone from the switch, idle", "ms"),
    _plain("busy_median", "the same with 6 members posting bulk rules and 20 readers, median", "ms"),
    _at_most("busy_p99", "the same, p99", "ms", 100),
    _at_most("busy_ratio", "the same, median to idle median", "×", 5),
    _plain("busy_written", "objects that these members write per second meanwhile", "objects"),
    _plain("api_quiet", "longest answer of the API, nothing else to do", "ms"),
    _at_most("api_fuzzed", "longest answer of the API under a fuzzed OpenFlow port", "ms", 50),
    _plain("api_fuzzed_p99", "answers of the API under a fuzzed OpenFlow port, p99", "ms"),
    _at_most("api_fuzzed_memory", "memory that the controller gains by 100,000 malformed messages", "MB", 20),
    _at_most("megaflows_worst", "megaflows of a workload that varies a field 300 times, worst", "", 50),
    _plain("flood_none", "a workload's new connections without a flood, p95", "ms"),
    _at_most("flood_varied", "the same under a flood of forged fields, varied to not, worst", "×", 1.5),
    _at_most(
        "flood_whole", "the same under a flood of fields compared whole, varied to not, worst", "×", 1.5
    ),
    _plain("storm_received", "announcements of a storm that another port gets", "per s"),
]


def judge_peers(measured: dict[str, dict[str, float]]) -> dict[str, bool]:
    """The goals that compare one rule with the peers; adds the ratios to `measured`."""
    verdicts = {}
    rule = measured.get("rule_add_400", {})
    for key, peer, least in (("rule_vs_neutron", "neutron", 1000), ("rule_vs_ovn", "ovn", 10)):
        if "ours" in rule and peer in rule:
            measured[key] = {"ours": rule[peer] / rule["ours"]}
            verdicts[key] = measured[key]["ours"] >= least
    return verdicts
