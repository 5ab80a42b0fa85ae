"""Start and end of the private server, and schema versions."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flows.policy.objects import Network, SecurityGroup
from sgctl.store import Store, StoreError
from sgctl.store.database_schema import shipped
from sgctl.store.server import PolicyServer, prepare_remote
from tests.store.samples import create, group
from tests.store.test_writers import kill_server
from tests.store.waiting import changes_until

pytestmark = pytest.mark.usefixtures("open_vswitch")


def schema_file(path: Path, version: str) -> Path:
    """The shipped schema with another version; an older one lacks a table and a column."""
    schema = shipped()
    if version < schema["version"]:
        del schema["tables"]["Zone"], schema["tables"]["Network"]["columns"]["address_scope"]
    schema["version"] = version
    file = path / f"{version}.ovsschema"
    file.write_text(json.dumps(schema))
    return file


def make_database(file: Path, schema: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    subprocess.run(["ovsdb-tool", "create", file, schema], check=True)
    network = {"op": "insert", "table": "Network", "row": {"name": "blue", "egress_default": "deny"}}
    transaction = json.dumps(["sgctl", network])
    subprocess.run(["ovsdb-tool", "transact", file, transaction], check=True, stdout=subprocess.DEVNULL)


def version_of(file: Path) -> str:
    done = subprocess.run(["ovsdb-tool", "db-version", file], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def names_of_networks(server: PolicyServer) -> list[str]:
    with closing(Store.connect(server.remote)) as store:
        return [obj.name for obj in store.objects[Network].values()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_database_is_for_the_owner_only(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    make_server().start()
    for directory in ("lib", "run"):
        assert mode(tmp_path / directory) == 0o700
    for file in ("lib/policy.db", "run/policy.sock", "run/policy.log", "run/policy.pid"):
        assert mode(tmp_path / file) & 0o077 == 0, file


def test_the_owner_stops_the_server_and_its_data_stay(make_server: Callable[[], PolicyServer]) -> None:
    first = make_server()
    first.start()
    web = group()
    with closing(Store.connect(first.remote)) as store:
        store.commit(create(web))
    first.stop()
    assert first.pid is None

    second = make_server()
    second.start()
    with closing(Store.connect(second.remote)) as store:
        assert store.objects[SecurityGroup] == {web.id: web}


def test_a_server_that_was_killed_is_started_again(make_server: Callable[[], PolicyServer]) -> None:
    server = make_server()
    server.start()
    assert not server.ensure()
    kill_server(server)
    assert server.ensure()
    assert names_of_networks(server) == []


def test_the_server_of_a_controller_that_was_killed_is_adopted(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from sgctl.store.server import PolicyServer\n"
        "PolicyServer(Path(sys.argv[1]), Path(sys.argv[2])).start(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    files = [tmp_path / "lib" / "policy.db", tmp_path / "run" / "policy.sock"]
    died = subprocess.run([sys.executable, "-c", program, *files], check=False)
    assert died.returncode == -signal.SIGKILL
    server = make_server()
    orphan = server.pid
    assert orphan is not None
    server.start()
    assert server.pid == orphan
    server.stop()
    assert server.pid is None


def test_a_second_controller_uses_the_server_and_leaves_it(make_server: Callable[[], PolicyServer]) -> None:
    owner, guest = make_server(), make_server()
    owner.start()
    guest.start()
    guest.stop()
    assert owner.pid is not None
    kill_server(owner)
    assert not guest.ensure()
    assert owner.ensure()


def test_another_controller_takes_over_the_server_of_a_stopped_one(
    make_server: Callable[[], PolicyServer],
) -> None:
    owner, guest = make_server(), make_server()
    owner.start()
    guest.start()
    owner.stop()
    assert guest.ensure()
    guest.stop()
    assert guest.pid is None


def test_another_process_with_the_same_id_is_not_taken_for_the_server(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "policy.pid").write_text(f"{os.getpid()}\n")
    server = make_server()
    assert server.pid is None
    server.start()
    assert server.pid not in (None, os.getpid())


def test_an_older_database_is_converted_and_kept(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    file = tmp_path / "lib" / "policy.db"
    make_database(file, schema_file(tmp_path, "0.9.0"))
    server = make_server()
    server.start()
    assert names_of_networks(server) == ["blue"]
    assert version_of(file) == shipped()["version"]
    (backup,) = file.parent.glob("policy.db.0.9.0.*")
    assert version_of(backup) == "0.9.0"
    assert mode(backup) == 0o600


def test_an_older_database_that_is_being_served_is_converted_and_kept(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    file = tmp_path / "lib" / "policy.db"
    make_database(file, schema_file(tmp_path, "0.9.0"))
    (tmp_path / "run").mkdir()
    make_server()._launch()
    server = make_server()
    server.start()
    assert names_of_networks(server) == ["blue"]
    (backup,) = file.parent.glob("sgctl.db.0.9.0.*")
    assert version_of(backup) == "0.9.0"
    assert mode(backup) == 0o600


@pytest.mark.parametrize("version", [f"{shipped()['version']}1", "1.10.0", "2.0.0"])
def test_a_newer_database_is_refused_and_unchanged(
    make_server: Callable[[], PolicyServer], tmp_path: Path, version: str
) -> None:
    file = tmp_path / "lib" / "policy.db"
    make_database(file, schema_file(tmp_path, version))
    before = file.read_bytes()
    with pytest.raises(
        StoreError, match=rf"schema version {version}, which is newer than the .* upgrade sgctl"
    ):
        make_server().start()
    assert file.read_bytes() == before
    assert make_server().pid is None


@pytest.mark.parametrize(
    ("version", "reason"), [("0.9.0", "older than the .* converts it"), ("2.0.0", "newer")]
)
def test_a_client_refuses_another_version(
    make_server: Callable[[], PolicyServer], tmp_path: Path, version: str, reason: str
) -> None:
    make_database(tmp_path / "lib" / "policy.db", schema_file(tmp_path, version))
    (tmp_path / "run").mkdir()
    server = make_server()
    server._launch()
    with pytest.raises(StoreError, match=rf"schema version {version}, .*{reason}"):
        Store.connect(server.remote)


def test_a_database_of_another_build_with_the_same_version_is_refused(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    schema = shipped()
    del schema["tables"]["Network"]["columns"]["address_scope"]
    (tmp_path / "other.ovsschema").write_text(json.dumps(schema))
    make_database(tmp_path / "lib" / "policy.db", tmp_path / "other.ovsschema")
    server = make_server()
    server.start()
    with pytest.raises(StoreError, match=r"lacks Network\.address_scope although its schema version is"):
        Store.connect(server.remote)


def test_a_remote_servers_older_database_is_converted(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    make_database(tmp_path / "lib" / "policy.db", schema_file(tmp_path, "0.9.0"))
    (tmp_path / "run").mkdir()
    server = make_server()
    server._launch()
    prepare_remote(server.remote)
    assert names_of_networks(server) == ["blue"]
    prepare_remote(server.remote)


def test_a_remote_servers_newer_database_is_refused(server: PolicyServer, tmp_path: Path) -> None:
    with closing(Store.connect(server.remote)) as store:
        newer = schema_file(tmp_path, "2.0.0")
        subprocess.run(["ovsdb-client", "convert", server.remote, newer], check=True)
        with pytest.raises(StoreError, match="newer"):
            prepare_remote(server.remote)
        with pytest.raises(StoreError, match="newer"):
            changes_until(store, lambda: False)


def test_a_server_without_the_database_says_how_to_make_it(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    schema = {"name": "other", "version": "1.0.0", "tables": {}}
    (tmp_path / "other.ovsschema").write_text(json.dumps(schema))
    (tmp_path / "run").mkdir()
    (tmp_path / "lib").mkdir()
    file = tmp_path / "lib" / "policy.db"
    subprocess.run(["ovsdb-tool", "create", file, tmp_path / "other.ovsschema"], check=True)
    with pytest.raises(StoreError, match="holds the database 'other', not 'sgctl'"):
        make_server().start()
    server = make_server()
    server._launch()
    for attempt in (prepare_remote, Store.connect):
        with pytest.raises(StoreError, match="serves no database 'sgctl'; make one from"):
            attempt(server.remote)


def test_a_file_that_is_no_database_is_an_error(
    make_server: Callable[[], PolicyServer], tmp_path: Path
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "policy.db").write_text("garbage\n")
    with pytest.raises(StoreError, match="unexpected file format"):
        make_server().start()


def test_a_missing_server_is_an_error_in_time(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot connect to the policy database at unix:"):
        Store.connect(f"unix:{tmp_path}/nobody.sock", 0.3)
    with pytest.raises(StoreError, match="failed to connect"):
        prepare_remote(f"unix:{tmp_path}/nobody.sock")


def test_without_open_vswitch_the_error_says_so(
    make_server: Callable[[], PolicyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StoreError, match="is Open vSwitch installed"):
        make_server().start()


def test_long_paths_work(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    server = PolicyServer(deep / "policy.db", deep / "policy.sock")
    try:
        server.start()
        assert names_of_networks(server) == []
        prepare_remote(server.remote)
    finally:
        server.stop()
