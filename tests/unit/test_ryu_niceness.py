"""The niceness of the API's process: lower while an admin's change is being made, if that is permitted."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sgctl.ryu.niceness import FOR_ADMINS, FOR_OTHERS

NOBODY = 65534
SCRIPT = """
import os, sys
{before}
from sgctl.ryu.niceness import Niceness

def told():
    print(os.getpriority(os.PRIO_PROCESS, 0) - start)

start = os.getpriority(os.PRIO_PROCESS, 0)
niceness = Niceness()
told()
with niceness.for_admin():
    told()
    with niceness.for_admin():
        told()
    told()
told()
"""


def seen(before: str = "") -> list[int]:
    """The additions to the niceness outside, inside, and outside of an admin's request."""
    script = [sys.executable, "-c", SCRIPT.format(before=before)]
    return [int(line) for line in subprocess.check_output(script, text=True).split()]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_only_an_admins_change_gets_as_much_time_as_others() -> None:
    assert seen() == [FOR_OTHERS, *[FOR_ADMINS] * 3, FOR_OTHERS]


def test_without_permission_the_api_never_becomes_nicer_than_for_admins() -> None:
    become_nobody = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})" if not os.geteuid() else ""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NICE, (0, 0))"
    assert seen(f"{limit}\n{become_nobody}") == [FOR_ADMINS] * 5
