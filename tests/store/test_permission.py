"""Error messages for users without permissions."""

from __future__ import annotations

import grp
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sgctl.ovsdb.permission import refusal
from sgctl.store import Store, StoreError
from sgctl.vswitch.local_switches import LocalSwitches

pytestmark = pytest.mark.usefixtures("root")
NOBODY = 65534
FEW_SECONDS = 0.2


@contextmanager
def as_nobody(*groups: int) -> Iterator[None]:
    before = os.getgroups()
    os.setgroups(groups)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(before)


@pytest.fixture
def path() -> Iterator[Path]:
    """A socket that accepts connections, in a folder that all users may search."""
    with tempfile.TemporaryDirectory(prefix="sgctl-") as folder, socket.socket(socket.AF_UNIX) as server:
        Path(folder).chmod(0o755)
        name = Path(folder) / "run" / "db.sock"
        name.parent.mkdir(0o700)
        server.bind(str(name))
        server.listen()
        yield name


def test_the_error_names_the_users_with_permission(path: Path) -> None:
    remote = f"unix:{path}"
    assert refusal(remote) == ""
    with as_nobody():
        assert refusal(remote) == f"permission denied: {path.parent} is for root alone"
        assert refusal(f"tcp:127.0.0.1:6640,{remote}") == refusal(remote)
        assert refusal("unix:/nowhere/db.sock") == ""
    group = grp.getgrnam("adm")
    os.chown(path.parent, 0, group.gr_gid)
    path.parent.chmod(0o750)
    path.chmod(0o700)
    with as_nobody():
        assert refusal(remote) == f"permission denied: {path.parent} is for root and the group adm"
    with as_nobody(group.gr_gid):
        assert refusal(remote) == f"permission denied: {path} is for root alone"
        assert refusal("unix:/nowhere/db.sock") == ""
    os.chown(path, 0, group.gr_gid)
    path.chmod(0o770)
    with as_nobody(group.gr_gid):
        assert refusal(remote) == ""


@pytest.mark.parametrize("kind", [Store, LocalSwitches])
def test_a_forbidden_database_is_distinguished_from_a_stopped_one(
    path: Path, kind: type[Store | LocalSwitches]
) -> None:
    with as_nobody(), pytest.raises(StoreError, match=r"permission denied: .* is for root alone"):
        kind.connect(f"unix:{path}", FEW_SECONDS)
    with pytest.raises(StoreError, match=r"running\?"):
        kind.connect(f"unix:{path.parent}/other.sock", FEW_SECONDS)
