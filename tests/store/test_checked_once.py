"""How often an object is checked on its way from a request to the database and back."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.policy import validate
from flows.policy.objects import Change, Network, PolicyObject, Port
from sgctl.rest.credentials import Caller, Role
from sgctl.rest.edit_context import EditContext
from sgctl.rest.resources import ports
from sgctl.service import checks
from sgctl.service.apply.planner import plan
from sgctl.service.manifests.documents import documents
from sgctl.service.plan import Plan
from sgctl.service.transaction import transact
from sgctl.store import Store, StoreError
from sgctl.store.checked import CheckedChanges, InvalidObjects
from sgctl.store.snapshot import PolicySnapshot
from tests.store.samples import create, group

ROOT = Path(__file__).parents[2]

Calls = Counter[tuple[str, str]]

MANIFESTS = b"""\
apiVersion: sgctl/v1
kind: Network
metadata: {name: lab}
spec: {subnets: [10.0.0.0/24]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web}
spec: {rules: [{direction: ingress, protocol: tcp, ports: 80}]}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: one}
spec: {network: lab, security_groups: [web]}
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """How often each object was checked: by itself, and together with the others."""
    counted: Calls = Counter()

    def counting(check: Callable[..., Iterator[object]], what: str) -> Callable[..., Iterator[object]]:
        def run(*arguments: PolicyObject) -> Iterator[object]:
            counted[what, arguments[-1].id] += 1
            return check(*arguments)

        return run

    for kind, check in validate._CHECKS.items():
        monkeypatch.setitem(validate._CHECKS, kind, counting(check, "alone"))
    monkeypatch.setattr(checks, "_with_others", counting(checks._with_others, "together"))
    return counted


@pytest.fixture
def write_rows(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Another tool, which runs operations; the name `transact` is the service's here."""
    tool: Callable[..., object] = request.getfixturevalue("transact")
    return tool


@pytest.fixture
def other(connect: Callable[[], Store]) -> Store:
    """The connection of another process."""
    return connect()


def create_port(objects: PolicySnapshot) -> Plan:
    """What the API does with a request."""
    (network,) = objects.all(Network)
    edit = EditContext(objects, Caller("", Role.ADMIN))
    ports.Ports().create(edit, {"network_id": network.id, "name": "web1"})
    return edit.plan()


def test_objects_of_a_request_are_checked_once(store: Store, other: Store, calls: Calls) -> None:
    transact(store, lambda objects: plan(objects, documents(MANIFESTS, "policy.yaml")))
    calls.clear()
    (made,) = [change.new for change in transact(store, create_port).plan.changes if change.kind is Port]
    store.run()
    assert made is not None
    assert (calls["alone", made.id], calls["together", made.id]) == (1, 1)
    assert other.wait_until(lambda: made.id in other.objects[Port], 20)
    assert (calls["alone", made.id], calls["together", made.id]) == (2, 1), "others check what they receive"


def test_objects_of_manifests_are_checked_once(store: Store, other: Store, calls: Calls) -> None:
    transact(store, lambda objects: plan(objects, documents(MANIFESTS, "policy.yaml")))
    store.run()
    made = {obj.id for obj in store.objects.everything()}
    assert len(made) == 4
    assert calls == Counter({(what, each): 1 for what in ("alone", "together") for each in made})
    assert other.wait_until(lambda: other.objects.size == len(made), 20)
    assert {calls["alone", each] for each in made} == {2}, "others check what they receive"


def test_a_changed_object_is_checked_once(store: Store, other: Store, calls: Calls) -> None:
    transact(store, lambda objects: plan(objects, documents(MANIFESTS, "policy.yaml")))
    calls.clear()
    renamed = MANIFESTS.replace(b"{name: lab}", b"{name: lab, description: ours}")
    committed = transact(store, lambda objects: plan(objects, documents(renamed, "policy.yaml")))
    (network,) = [change.id for change in committed.plan.changes]
    store.run()
    assert store.objects[Network][network].meta.revision_number == 1
    assert calls["alone", network] == 1
    assert other.wait_until(lambda: other.generation == store.generation, 20)
    assert other.objects[Network] == store.objects[Network]


def test_a_row_that_another_tool_changes_is_checked(
    store: Store, write_rows: Callable[..., object], calls: Calls
) -> None:
    web = group()
    store.commit(create(web))
    store.run()
    calls.clear()
    where = [["_uuid", "==", ["uuid", web.id]]]
    write_rows({"op": "update", "table": "Security_Group", "where": where, "row": {"name": "two\nlines"}})
    assert store.wait_until(lambda: web.id in store.problems, 20)
    assert calls["alone", web.id] == 1


def test_what_is_not_valid_cannot_become_checked_changes(store: Store) -> None:
    bad = Change(None, group("two\nlines"))
    with pytest.raises(InvalidObjects, match="name: "):
        CheckedChanges([bad])
    with pytest.raises(StoreError, match="name: "):
        store.commit([bad])


def test_only_the_checks_make_plans_and_only_metadata_is_added_later() -> None:
    """By name: whoever calls these elsewhere could store what nobody has checked."""
    callers: dict[str, set[str]] = {"Plan": set(), "with_metadata": set()}
    for path in (ROOT / "sgctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                callers.setdefault(name, set()).add(path.relative_to(ROOT / "sgctl").as_posix())
    assert callers["Plan"] == {"service/policy_edit.py"}
    assert callers["with_metadata"] == {"service/metadata.py", "service/transaction.py"}
