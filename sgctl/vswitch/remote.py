"""Places of this host's Open vSwitch, from the remote of its database: `unix:/run/openvswitch/db.sock`."""

from __future__ import annotations

from pathlib import Path

_UNIX = "unix:"


def socket_path(remote: str) -> Path | None:
    """The Unix socket that a remote names (ovsdb(7)); None if it names none."""
    return Path(remote.removeprefix(_UNIX)) if remote.startswith(_UNIX) else None


def run_directory(ovsdb: str) -> Path | None:
    """The directory of Open vSwitch's pid files and sockets; None if the remote names no Unix socket."""
    path = socket_path(ovsdb)
    return path.parent if path is not None else None
