from __future__ import annotations

from collections.abc import Callable

import pytest

from sgctl.store import Store
from tests.cli.conftest import Cli

POLICY = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/24]}
---
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web}
spec: {rules: [{direction: ingress}]}
---
apiVersion: sgctl/v1
kind: Port
metadata: {name: web1}
spec: {network: blue, security_groups: [web]}
"""


@pytest.fixture
def filled(cli: Cli) -> Cli:
    assert cli("apply", "-f", "-", stdin=POLICY).code == 0
    return cli


def test_deleting_an_object_in_use_is_refused_with_its_users(filled: Cli, fresh: Callable[[], Store]) -> None:
    result = filled("delete", "sg/web", "network/blue", "port/web2")
    assert (result.code, result.out) == (1, "")
    assert result.errors == [
        "there is no port 'web2'",
        "Network blue: in use by port web1",
        "SecurityGroup web: in use by port web1",
    ]
    assert fresh().generation == 1


def test_objects_that_refer_to_each_other_are_deleted_together(
    filled: Cli, fresh: Callable[[], Store]
) -> None:
    assert filled("delete", "network/blue", "SecurityGroup/web", "port/web1").out == (
        "Network blue deleted\nSecurityGroup web deleted\nPort web1 deleted\n"
    )
    store = fresh()
    assert (store.generation, store.objects.size) == (2, 0)


def test_names_after_a_kind(filled: Cli) -> None:
    assert filled("delete", "port", "web1").out == "Port web1 deleted\n"
    assert filled("delete", "port", "web1").errors == ["there is no port 'web1'"]
    assert filled("delete", "port", "web1", "--ignore-missing") == (0, "", "")


def test_delete_by_file(filled: Cli, manifest: Callable[[str], str]) -> None:
    file = manifest(POLICY)
    assert filled("delete", "-f", file).code == 0
    assert filled("delete", "-f", file).errors == [
        f"{file}: document 1: Network blue: there is no network 'blue'",
        f"{file}: document 2: SecurityGroup web: there is no security group 'web'",
        f"{file}: document 3: Port web1: there is no port 'web1'",
    ]
    broken = manifest("kind: Port\n---\n" + POLICY)
    assert filled("delete", "-f", broken).errors == [f"{broken}: document 1: Port: no known kind with a name"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either KIND NAME or -f FILE"),
        (["port"], "give the names of the objects to delete"),
        (["port", "a", "-f", "x"], "give either KIND NAME or -f FILE"),
        (["port/a", "b"], "'b' is not KIND/NAME"),
        (["switch", "br0"], "switches are reported by controllers and cannot be deleted"),
        (["server", "a"], "there is no kind 'server'"),
    ],
)
def test_wrong_usage(cli: Cli, arguments: list[str], message: str) -> None:
    result = cli("delete", *arguments)
    assert result.code == 2
    assert message in result.errors[0]
