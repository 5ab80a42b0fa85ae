"""The policy and the reports of switches, as one request sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TypeVar, cast

from flows.policy.objects import PolicyObject, Port, Rule
from sgctl.service.draft import Objects
from sgctl.store import BindingState, BindingStatus, SwitchStatus

T = TypeVar("T", bound=PolicyObject)


class View:
    """Read-only, for one request; indexes are made when they are first used."""

    def __init__(
        self,
        objects: Objects,
        switches: Mapping[str, SwitchStatus],
        bindings: Mapping[tuple[str, str], BindingStatus],
        generation: int,
        quotas: Mapping[str, Mapping[str, int]],
        find_silent: Callable[[], frozenset[str]],
    ) -> None:
        """`find_silent` returns the hosts that have no controller at work; it may wait for their answers."""
        self.quotas = quotas
        """Quotas by project, for the projects that have their own."""
        self._objects = cast("Mapping[type[object], Mapping[str, PolicyObject]]", objects)
        self._switches = switches
        self._bindings = bindings
        self._generation = generation
        self._find_silent = find_silent

    def get(self, kind: type[T], identifier: str) -> T | None:
        """The object with this id, None if there is none."""
        return cast("T | None", self._objects[kind].get(identifier))

    def all(self, kind: type[T]) -> Iterable[T]:
        """Every object of a kind."""
        return cast("Iterable[T]", list(self._objects[kind].values()))

    @cached_property
    def rules_of(self) -> Mapping[str, list[Rule]]:
        """Rules by the id of their group, oldest first."""
        found: dict[str, list[Rule]] = {}
        for rule in sorted(self.all(Rule), key=lambda rule: rule.number):
            found.setdefault(rule.group_id, []).append(rule)
        return found

    @cached_property
    def ports_of(self) -> Mapping[str, list[Port]]:
        """Ports by the device they belong to."""
        found: dict[str, list[Port]] = {}
        for port in self.all(Port):
            found.setdefault(port.device_id, []).append(port)
        return found

    @cached_property
    def _silent(self) -> frozenset[str]:
        return self._find_silent()

    @cached_property
    def _bound(self) -> Mapping[str, BindingStatus]:
        return {
            binding.port_id: binding
            for binding in self._bindings.values()
            if binding.port_id and binding.state is BindingState.BOUND
        }

    def host(self, port: Port) -> str:
        """The chassis where the port is bound; empty if it is not bound."""
        binding = self._bound.get(port.id)
        return binding.switch.rpartition("/")[0] if binding is not None else ""

    def is_active(self, port: Port) -> bool:
        """Whether the port is up and bound, and its switch has applied the present policy.

        The switch's controller must be at work: its reports from before it died or hung prove nothing.
        """
        # When it is asked, a controller reports a switch that does not answer: so check again afterwards.
        return self._is_reported_active(port) and (
            self.host(port) not in self._silent and self._is_reported_active(port)
        )

    def _is_reported_active(self, port: Port) -> bool:
        binding = self._bound.get(port.id)
        switch = self._switches.get(binding.switch) if binding is not None else None
        return (
            switch is not None
            and port.admin_state_up
            and switch.connected
            and not switch.error
            and switch.generation >= self._generation
        )
