"""Parsing of messages and of differences of rows, without a server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgctl.ovsdb.library import JsonRpcConnection, MessageReader, ovs
from sgctl.ovsdb.replica import Column, elements
from sgctl.store.codec import TABLES
from sgctl.store.database_schema import shipped

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
messages = st.lists(st.dictionaries(texts, values, max_size=2), max_size=3)


@given(messages, st.sampled_from(["", " ", "\r\n"]), st.data())
def test_messages_are_complete_however_they_are_split(
    sent: list[dict[str, Any]], gap: str, data: st.DataObject
) -> None:
    stream = gap.join(json.dumps(each, ensure_ascii=False) for each in sent).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = MessageReader()
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += reader.feed(stream[start:end])
    assert got == sent


def test_a_message_is_returned_as_soon_as_it_is_complete() -> None:
    reader = MessageReader()
    assert reader.feed(b'{"a": "}{", "b"') == []
    assert reader.feed(b": {}}") == [{"a": "}{", "b": {}}]
    assert reader.feed(b'{"c": 1}{"d"') == [{"c": 1}]


@pytest.mark.parametrize("garbage", [b"hello", b"}", b'{"a" 1}', b'{"a": "\xff"}'])
def test_garbage_is_an_error(garbage: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # from two decoders, and only the kind matters
        MessageReader().feed(garbage)


def test_reading_takes_time_in_proportion_to_size() -> None:
    """A snapshot arrives in many pieces; parsing it from the start for each piece would take minutes."""
    big = json.dumps({"rows": [{"text": "x" * 50, "n": n} for n in range(100_000)]}).encode()
    reader = MessageReader()
    got = [each for at in range(0, len(big), 4096) for each in reader.feed(big[at : at + 4096])]
    assert len(got[0]["rows"]) == 100_000


def test_every_connection_of_the_library_reads_this_way() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = ovs.jsonrpc.Connection(ovs.stream.Stream(ours, "test", 0))
    assert isinstance(connection, JsonRpcConnection)
    letter = "ü".encode()
    theirs.sendall(b'{"method": "' + letter[:1])
    assert connection.recv() == (11, None)  # EAGAIN
    theirs.sendall(letter[1:] + b'", "params": [], "id": null}{"method": 1}')
    assert connection.recv()[1].method == "ü"
    theirs.close()
    assert connection.recv()[1] is None
    assert connection.get_status() != 0
    connection.close()


SET = Column({"type": {"key": "string", "min": 0, "max": "unlimited"}})
MAP = Column({"type": {"key": "integer", "value": "string", "min": 0, "max": "unlimited"}})


@given(st.frozensets(st.text("abc")), st.frozensets(st.text("abc")))
def test_a_difference_of_a_set_toggles_its_elements(old: frozenset[str], new: frozenset[str]) -> None:
    def as_set(members: frozenset[str]) -> Any:
        return ["set", sorted(members)] if len(members) != 1 else next(iter(members))

    merged = SET.merge(as_set(old), as_set(old ^ new))
    assert frozenset(elements(merged)) == new


small_maps = st.dictionaries(st.integers(0, 5), st.text("ab"))


@given(small_maps, small_maps)
def test_a_maps_difference_adds_replaces_and_removes(old: dict[int, str], new: dict[int, str]) -> None:
    difference = [[key, old[key]] for key in old.keys() - new.keys()]
    difference += [[key, value] for key, value in new.items() if old.get(key) != value]
    merged = MAP.merge(["map", [list(pair) for pair in old.items()]], ["map", difference])
    assert dict(merged[1]) == new


def test_every_field_of_the_model_has_a_column_of_the_schema() -> None:
    tables = shipped()["tables"]
    for kind, table in TABLES.items():
        assert {field.name for field in fields(kind)} == {column.field for column in table.columns} | {
            "id",
            "meta",
        }
        assert set(table.by_name) == set(tables[table.name]["columns"])
        for column in table.columns:
            target = tables[table.name]["columns"][column.name]["type"]
            key = target["key"] if isinstance(target, dict) else {}
            refers_to = TABLES[column.refers_to].name if column.refers_to else None
            assert (key.get("refTable") if isinstance(key, dict) else None) == refers_to


def test_a_command_that_connects_does_not_load_eventlet() -> None:
    loaded = "print(sys.modules.get('eventlet', 'absent'))"
    program = f"import sys, sgctl.store, sgctl.vswitch.local_switches; {loaded}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "absent"
