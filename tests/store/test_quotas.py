"""Limits of projects in the policy database, and databases of versions before limits."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.policy.objects import Network
from lab.process import wait_until
from sgctl.store import Store, StoreError
from sgctl.store.database_schema import shipped
from sgctl.store.server import PolicyServer

Connect = Callable[[], Store]


def test_limits_are_added_replaced_and_removed(connect: Connect) -> None:
    here, there = connect(), connect()
    here.set_quota("blue", {"port": 5, "network": -1})
    here.set_quota("", {"port": 0})
    there.run()
    there.set_quota("blue", {"port": 6, "address_group": 1})
    both = {"blue": {"port": 6, "network": -1, "address_group": 1}, "": {"port": 0}}
    wait_until(lambda: here.run() == [] and here.quotas == both, f"heard of {both}")
    here.delete_quota("blue")
    here.delete_quota("red")
    assert here.quotas == {"": {"port": 0}}


def test_concurrently_removed_limits_are_set_again(connect: Connect) -> None:
    here, there = connect(), connect()
    here.set_quota("blue", {"port": 5, "network": 1})
    there.run()
    here.delete_quota("blue")
    there.set_quota("blue", {"port": 7})
    assert there.quotas == {"blue": {"port": 7}}


def test_limits_do_not_count_as_changes_of_the_policy(connect: Connect) -> None:
    store = connect()
    store.run()
    before = store.generation
    store.set_quota("blue", {"port": 5})
    assert store.run() == []
    assert store.generation == before


def test_a_refusal_of_the_database_is_reported(connect: Connect) -> None:
    store = connect()
    with pytest.raises(StoreError, match="refused"):
        store.set_quota("blue", {"port": -2})
    assert store.quotas == {}


@pytest.mark.usefixtures("open_vswitch")
@pytest.mark.parametrize("served", [False, True])
def test_a_database_from_before_quotas_is_converted_with_all_that_is_in_it(
    tmp_path: Path, make_server: Callable[[], PolicyServer], served: bool
) -> None:
    old = shipped()
    del old["tables"]["Quota"]
    old["version"] = "1.0.0"
    (tmp_path / "old.ovsschema").write_text(json.dumps(old))
    file = tmp_path / "lib" / "policy.db"
    file.parent.mkdir()
    subprocess.run(["ovsdb-tool", "create", file, tmp_path / "old.ovsschema"], check=True)
    row = {
        "name": "blue",
        "egress_default": "deny",
        "connection_limit": 7,
        "subnets": ["map", [[0, "::/64"]]],
    }
    insert = json.dumps(["sgctl", {"op": "insert", "table": "Network", "row": row}])
    subprocess.run(["ovsdb-tool", "transact", file, insert], check=True, stdout=subprocess.DEVNULL)
    if served:
        (tmp_path / "run").mkdir()
        make_server()._launch()
    server = make_server()
    server.start()
    store = Store.connect(server.remote)
    (network,) = store.objects[Network].values()
    assert (network.name, store.problems, store.quotas) == ("blue", {}, {})
    store.set_quota("blue", {"security_group": 3})
    store.close()
    server.stop()
    server.start()
    again = Store.connect(server.remote)
    assert again.quotas == {"blue": {"security_group": 3}}
    assert [each.id for each in again.objects[Network].values()] == [network.id]
    again.close()
