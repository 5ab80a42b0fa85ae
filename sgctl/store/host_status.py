"""What the controllers of all hosts report, beside the policy: what is bound where, and enforced by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from flows.policy.objects import Port
from sgctl.store.status import BindingStatus, SwitchStatus


@dataclass(frozen=True)
class HostStatus:
    """The controllers' reports, as current as the store's mappings, which these are.

    `bound` has the bindings of each bound port, by its id; `problems` the reason for each row of the policy
    that was left out; `generation` is the policy's. `find_silent` returns, by host, why no controller is at
    work there; it may wait for their answers.
    """

    switches: Mapping[str, SwitchStatus]
    bindings: Mapping[tuple[str, str], BindingStatus]
    bound: Mapping[str, Sequence[BindingStatus]]
    zones: Mapping[tuple[str, str, str], int]
    problems: Mapping[str, str]
    generation: int
    find_silent: Callable[[], Mapping[str, str]] = dict

    @cached_property
    def silent(self) -> Mapping[str, str]:
        """By host, why no controller is at work there. Whether its reports still hold is unknown."""
        return self.find_silent()

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts for which controllers have reported anything."""
        of_bindings = (binding.chassis for binding in self.bindings.values())
        of_switches = (switch.chassis for switch in self.switches.values())
        return frozenset([*of_bindings, *of_switches, *(chassis for chassis, *_ in self.zones)])

    def host(self, port: Port) -> str:
        """The host where the port is bound; empty if it is not bound."""
        bindings = self.bound.get(port.id)
        return bindings[-1].chassis if bindings else ""

    def has_policy(self, switch: SwitchStatus) -> bool:
        """Whether the switch is connected and has applied the present policy, as far as was reported."""
        return switch.connected and switch.generation >= self.generation

    def is_active(self, port: Port) -> bool:
        """Whether the port is up and bound, and its switch has applied the present policy.

        The switch's controller must be at work: its reports from before it died or hung prove nothing.
        """
        # When it is asked, a controller reports a switch that does not answer: so check again afterwards.
        return self._is_reported_active(port) and (
            self.host(port) not in self.silent and self._is_reported_active(port)
        )

    def _is_reported_active(self, port: Port) -> bool:
        bindings = self.bound.get(port.id)
        switch = self.switches.get(bindings[-1].switch) if bindings else None
        return switch is not None and port.admin_state_up and not switch.error and self.has_policy(switch)
