"""The sections of the benchmark: each runs in a separate process and in separate namespaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import (
    broken_openflow,
    commands,
    control_plane,
    data_plane,
    encoder,
    fairness,
    floods,
    live,
    neutron,
    optimizations,
    ovn,
    scale,
    stream,
)
from bench.record import Record


@dataclass(frozen=True)
class BenchSection:
    """`title` is printed while `measure` runs. `quick`: in the quick run. `peer`: measures only a peer."""

    title: str
    measure: Callable[[Record], None]
    quick: bool = True


SECTIONS: dict[str, BenchSection] = {
    "control-400": BenchSection("control plane at W(400, 1000)", control_plane.measure_400),
    "ovn": BenchSection("OVN at W(400, 1000)", ovn.measure, quick=False),
    "slopes": BenchSection("growth with ports, members and rules", control_plane.slopes),
    "live": BenchSection("real packets while things change", live.measure),
    "commands": BenchSection("start of commands", commands.measure),
    "encoder": BenchSection("wire encoder", encoder.measure),
    "stream": BenchSection("1,000 changes a second", stream.measure),
    "fairness": BenchSection("a revocation while others keep the API busy", fairness.measure),
    "broken-openflow": BenchSection("API under a fuzzed OpenFlow port", broken_openflow.measure),
    "floods": BenchSection("floods of one workload", floods.measure),
    "scale": BenchSection("scale in simulation", scale.measure),
    "optimizations": BenchSection("each optimization left out", optimizations.measure, quick=False),
    "data-plane": BenchSection("data plane", data_plane.measure, quick=False),
    "control-2000": BenchSection("control plane at W(2000, 10000)", control_plane.measure_2000, quick=False),
    "neutron": BenchSection("Neutron at W(400, 1000)", neutron.measure, quick=False),
}
