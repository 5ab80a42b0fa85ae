"""The sections of the benchmark: each runs in a separate process and in separate namespaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import (
    commands,
    control,
    data_plane,
    door,
    encoder,
    fairness,
    floods,
    live,
    neutron,
    ovn,
    scale,
    stream,
)
from bench.record import Record


@dataclass(frozen=True)
class Section:
    """`title` is printed while `measure` runs. `quick`: in the quick run. `peer`: measures only a peer."""

    title: str
    measure: Callable[[Record], None]
    quick: bool = True


SECTIONS: dict[str, Section] = {
    "control-400": Section("control plane at W(400, 1000)", control.measure_400),
    "ovn": Section("OVN at W(400, 1000)", ovn.measure, quick=False),
    "slopes": Section("growth with ports, members and rules", control.slopes),
    "live": Section("real packets while things change", live.measure),
    "commands": Section("start of commands", commands.measure),
    "encoder": Section("wire encoder", encoder.measure),
    "stream": Section("1,000 changes a second", stream.measure),
    "fairness": Section("a revocation while others keep the API busy", fairness.measure),
    "door": Section("API under a fuzzed OpenFlow port", door.measure),
    "floods": Section("floods of one workload", floods.measure),
    "scale": Section("scale in simulation", scale.measure),
    "data-plane": Section("data plane", data_plane.measure, quick=False),
    "control-2000": Section("control plane at W(2000, 10000)", control.measure_2000, quick=False),
    "neutron": Section("Neutron at W(400, 1000)", neutron.measure, quick=False),
}
