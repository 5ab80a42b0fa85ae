"""Explains why the user may not open the Unix socket of a database."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path


def refusal(remotes: str) -> str:
    """The error text for the first Unix socket that this user may not open; empty if there is none.

    `remotes` are OVSDB remotes separated by commas. A socket requires read and write permission, the folders
    above it require search permission (unix(7), path_resolution(7)).
    """
    for remote in remotes.split(","):
        kind, _, name = remote.partition(":")
        if kind == "unix":
            path = Path(name).absolute()
            for place in (*reversed(path.parents), path):
                needed = os.R_OK | os.W_OK if place == path else os.X_OK
                if place.exists() and not os.access(place, needed, effective_ids=True):
                    return f"permission denied: {_who_may(place, needed)}"
    return ""


def _who_may(place: Path, needed: int) -> str:
    """`/run/sgctl is for root and the group adm`."""
    info = place.stat()
    owner = _name_of_user(info.st_uid)
    if stat.S_IMODE(info.st_mode) >> 3 & needed == needed:
        return f"{place} is for {owner} and the group {_name_of_group(info.st_gid)}"
    return f"{place} is for {owner} alone"


def _name_of_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _name_of_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
