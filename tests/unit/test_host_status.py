"""Where ports are bound and whether they are enforced there, from the rows that controllers write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.policy.objects import Port
from sgctl.store import BindingStatus, SwitchStatus
from sgctl.store.host_status import HostStatus
from sgctl.store.status import BoundPorts, KeyedRows, read_binding

ONE, TWO = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
PORT = Port(ONE, "web1", "n", "02:00:00:00:00:01", "if1")
SWITCH = SwitchStatus("h1", "br0", "0000000000000001", connected=True, generation=7)


def row(chassis: str, port: str = ONE, state: str = "bound", **others: Any) -> dict[str, Any]:
    reference = ["uuid", port] if port else ["set", []]
    return {
        "chassis": chassis,
        "bridge": "br0",
        "interface": "if1",
        "state": state,
        "port": reference,
    } | others


class Rows:
    """Rows of Binding, and what is read from them."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.bound = BoundPorts(self.rows)
        self.bindings = KeyedRows(self.rows, read_binding)

    def write(self, **rows: dict[str, Any] | None) -> dict[str, bool]:
        """Write or delete rows; returns the ports for which it may have changed whether they are bound."""
        for name, content in rows.items():
            if content is None:
                del self.rows[name]
            else:
                self.rows[name] = content
        self.bound.changed.clear()
        self.bound.take(rows)
        self.bindings.take(rows)
        return self.bound.changed

    def hosts(self, port: str) -> set[str]:
        return {binding.chassis for binding in self.bound.bindings.get(port, ())}

    def status(self, switch: SwitchStatus, silent: dict[str, str] | None = None) -> HostStatus:
        zones = {("h3", "br0", "n"): 1}
        switches = {switch.key: switch}
        bound = self.bound.bindings
        return HostStatus(switches, self.bindings.values, bound, zones, {}, 7, lambda: silent or {})


def test_a_port_is_bound_while_any_row_binds_it() -> None:
    table = Rows()
    assert table.write(a=row("h1")) == {ONE: True}
    assert table.write(b=row("h2")) == {ONE: True}
    assert table.hosts(ONE) == {"h1", "h2"}
    assert table.write(a=row("h1", reason="new text")) == {}, "still bound to the same port"
    assert table.write(a=row("h1", TWO)) == {ONE: True, TWO: True}
    assert (table.hosts(ONE), table.hosts(TWO)) == ({"h2"}, {"h1"})
    assert table.write(b=row("h2", "", "quarantined")) == {ONE: False}
    assert table.write(a=None) == {TWO: False}
    assert table.bound.bindings == {}


def test_a_migration_within_one_update_leaves_the_port_bound() -> None:
    table = Rows()
    table.write(a=row("h1"))
    assert table.write(a=None, b=row("h2")) == {ONE: True}
    assert table.hosts(ONE) == {"h2"}


@pytest.mark.parametrize(
    ("port", "switch", "silent", "active"),
    [
        (PORT, SWITCH, {}, True),
        (PORT, SWITCH, {"h1": "its controller does not answer"}, False),
        (PORT, SWITCH, {"h2": "its controller does not answer"}, True),
        (replace(PORT, admin_state_up=False), SWITCH, {}, False),
        (PORT, replace(SWITCH, generation=6), {}, False),
        (PORT, replace(SWITCH, connected=False), {}, False),
        (PORT, replace(SWITCH, error="too many flows"), {}, False),
        (PORT, replace(SWITCH, name="br1"), {}, False),
        (replace(PORT, id=TWO), SWITCH, {}, False),
    ],
)
def test_a_port_is_active_where_its_switch_has_the_policy(
    port: Port, switch: SwitchStatus, silent: dict[str, str], active: bool
) -> None:
    table = Rows()
    table.write(a=row("h1"))
    assert table.status(switch, silent).is_active(port) is active


def test_hosts_are_known_by_any_report() -> None:
    table = Rows()
    table.write(a=row("h2", "", "quarantined"))
    status = table.status(SWITCH)
    assert status.hosts == {"h1", "h2", "h3"}
    assert (status.host(PORT), status.is_active(PORT)) == ("", False)


def test_a_report_that_comes_while_controllers_are_asked_counts() -> None:
    """A controller that is asked finds out that its switch does not answer."""
    table = Rows()
    table.write(a=row("h1"))
    switches = {SWITCH.key: SWITCH}

    def ask() -> dict[str, str]:
        switches[SWITCH.key] = replace(SWITCH, connected=False)
        return {}

    bindings: dict[tuple[str, str], BindingStatus] = table.bindings.values
    assert not HostStatus(switches, bindings, table.bound.bindings, {}, {}, 7, ask).is_active(PORT)
