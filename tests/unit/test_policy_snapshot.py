"""Snapshots and drafts: held against plain dictionaries, through random edits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.policy.objects import AddressGroup, Port, Prefix, SecurityGroup
from sgctl.service.draft import Draft
from sgctl.store.snapshot import Objects, PolicySnapshot

Model = dict[str, Port]

GROUPS = [f"g{n}" for n in range(3)]
ADDRESSES = [Prefix.parse(f"10.0.0.{n}") for n in range(1, 5)]

OTHERS = {
    f"q{n}": Port(
        f"q{n}",
        "ab"[n % 2],
        "n1",
        "02:00:00:00:00:02",
        f"q{n}",
        fixed_ips=(ADDRESSES[n % 4],),
        security_groups=frozenset(GROUPS[: n % 3]),
    )
    for n in range(40)
}
"""Ports that no edit touches: with them, edits are few, and indexes are brought up to date."""

ports = st.builds(
    Port,
    st.sampled_from([f"p{n}" for n in range(8)]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["n1", "n2"]),
    st.just("02:00:00:00:00:01"),
    st.just("if"),
    fixed_ips=st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=2).map(tuple),
    security_groups=st.frozensets(st.sampled_from(GROUPS)),
)
batches = st.lists(
    st.dictionaries(st.sampled_from([f"p{n}" for n in range(8)]), ports | st.none(), max_size=8), max_size=5
)


def check_same(objects: Objects, model: Model) -> None:
    assert {port.id: port for port in objects.all(Port)} == model
    present = list(model.values())
    for identifier in [f"p{n}" for n in range(8)]:
        assert objects.get(Port, identifier) == model.get(identifier)
    for name in ("", "a", "b", "nobody"):
        check_found(objects.where(Port, "name", name), [port for port in present if port.name == name])
    for group in GROUPS:
        members = [port for port in present if group in port.security_groups]
        check_found(objects.having(Port, "security_groups", group), members)
    for address in ADDRESSES:
        owners = [port for port in present if address in port.fixed_ips]
        check_found(objects.having(Port, "fixed_ips", address), owners)


def check_found(found: list[Port], wanted: list[Port]) -> None:
    assert sorted(found, key=lambda port: port.id) == sorted(wanted, key=lambda port: port.id)


def apply(model: Model, edits: dict[str, Port | None]) -> Model:
    merged = {**model, **{key: port for key, port in edits.items() if port is not None}}
    return {key: port for key, port in merged.items() if edits.get(key, port) is not None}


def named_by_key(edits: dict[str, Port | None]) -> dict[str, Port | None]:
    """Edits where each port has the id under which it stands."""
    return {
        key: Port(key, *[getattr(port, name) for name in port.__slots__ if name != "id"]) if port else None
        for key, port in edits.items()
    }


@given(batches)
def test_a_later_snapshot_finds_what_is_there_then_and_an_earlier_one_keeps_its_contents(
    steps: list[dict[str, Port | None]],
) -> None:
    moments: list[tuple[PolicySnapshot, Model]] = [(PolicySnapshot({Port: OTHERS}), OTHERS)]
    check_same(*moments[0])
    for generation, edits in enumerate(map(named_by_key, steps), 1):
        snapshot, model = moments[-1]
        later = snapshot.edited((((Port, key), port) for key, port in edits.items()), generation)
        moments.append((later, apply(model, edits)))
        check_same(*moments[-1])
        assert later.generation == generation
    for snapshot, model in moments:
        check_same(snapshot, model)


@given(batches, st.booleans())
def test_a_draft_shows_its_edits_and_leaves_its_base_alone(
    steps: list[dict[str, Port | None]], looked_up: bool
) -> None:
    steps = [named_by_key(edits) for edits in steps]
    model = apply({}, steps[0]) if steps else {}
    base = PolicySnapshot({Port: model})
    draft = Draft(base)
    edited = model
    for edits in steps[1:]:
        if looked_up:
            check_same(draft, edited)
        for key, port in edits.items():
            draft.put(port) if port is not None else draft.remove(Port, key)
        edited = apply(edited, edits)
    check_same(draft, edited)
    check_same(base, model)
    changes = {change.id: (change.old, change.new) for change in draft.changes()}
    assert changes == {
        key: (model.get(key), edited.get(key))
        for key in model.keys() | edited.keys()
        if model.get(key) != edited.get(key)
    }


def test_a_snapshot_shares_the_kinds_that_did_not_change() -> None:
    group = SecurityGroup("g", "web")
    before = PolicySnapshot({SecurityGroup: {"g": group}, AddressGroup: {}})
    after = before.edited([((AddressGroup, "a"), AddressGroup("a", "a"))], 1)
    assert after.table(SecurityGroup) is before.table(SecurityGroup)
    assert (before.size, after.size) == (1, 2)
    assert after[SecurityGroup] == {"g": group}
