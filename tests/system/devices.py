"""Helpers of the tests of devices: refusals of commands, and the problems that `sgctl status` reports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.policy_cli import SGCTL
from lab.process import run, wait_until
from lab.site import Site


def sgctl(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command; any exit status is accepted."""
    return subprocess.run(
        [str(SGCTL), *arguments],
        env=site.controller.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def refusal(site: Site, *arguments: str) -> str:
    """The error of a command that must fail with one line."""
    done = sgctl(site, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


def problems(site: Site) -> dict[str, str]:
    """The problems in `sgctl status` by interface, after the controller has processed all changes."""
    site.sgctl.wait()
    report: dict[str, Any] = json.loads(sgctl(site, "status", "-o", "json").stdout)
    words = [problem.partition(" of switch ") for problem in report["problems"]]
    return {before.split()[-1]: after.partition(": ")[2] for before, _, after in words}


def told(site: Site, interface: str, text: str) -> None:
    """Wait until `sgctl status` reports the text for the interface; its exit status must be 1."""
    wait_until(lambda: text in problems(site).get(interface, ""), f"{interface}: {text}")
    assert sgctl(site, "status").returncode == 1


@contextmanager
def own_address(device: str, address: str) -> Iterator[None]:
    """Give a bridge's device an address, and remove it at the end.

    The device outlives its switch, and the kernel would keep answering for the address.
    """
    run(["ip", "address", "add", address, "dev", device])
    run(["ip", "link", "set", device, "up"])
    try:
        yield
    finally:
        run(["ip", "address", "flush", "dev", device])
