"""Whole Debian hosts: systemd and the distribution's services, each host with its own kernel.

User Mode Linux runs a kernel as a process. The root file system is an image of a folder that
`scripts/debian-root` made; each host keeps its changes in a separate file. A virtual switch (vde2) joins the
hosts by `eth0`. A serial line connects to `lab.guest_agent` inside.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab import process
from lab.guest import KERNEL, REPOSITORY
from lab.process import LabError
from lab.running import Running

DEBIAN = REPOSITORY / ".debian"
CLONE = "/sgctl"
"""The folder in a host that contains this repository, installed."""
_BOOT_SECONDS = 300.0
_SIZE = "4G"  # of a sparse file
_AGENT = f"""\
[Unit]
After=openvswitch-switch.service network.target
[Service]
Type=simple
Environment=HOME=/root
ExecStart=/usr/bin/python3 -m lab.guest_agent /dev/ttyS0
WorkingDirectory={CLONE}
KillMode=process
"""
_AGENT_UNIT = "guest-agent.service"
_FILES = {
    "etc/fstab": "/dev/ubda / ext4 defaults 0 1\n",
    f"etc/systemd/system/{_AGENT_UNIT}": _AGENT,
}
_MEMORY = "900M"


class Image(Running):
    """The root file system of hosts: `.debian/SUITE` with the current repository installed."""

    def __init__(self, suite: str) -> None:
        self._root = DEBIAN / suite
        self._suite = suite

    def start(self) -> None:
        """Make the image."""
        command = REPOSITORY / "scripts" / "debian-root", self._suite, "make", "--silent", "install"
        subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL)
        self._furnish()
        self._directory = Path(tempfile.mkdtemp(prefix="image-", dir=DEBIAN))
        self.file = self._directory / "root"
        make = "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", self._root, self.file, _SIZE
        subprocess.run(list(map(str, make)), check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        """Remove the image."""
        if hasattr(self, "_directory"):
            shutil.rmtree(self._directory, ignore_errors=True)

    def _furnish(self) -> None:
        """Add what an installer would write (fstab, kernel modules), and the agent."""
        for name, text in _FILES.items():
            (self._root / name).write_text(text)
        wanted = self._root / "etc/systemd/system/multi-user.target.wants" / _AGENT_UNIT
        wanted.unlink(missing_ok=True)
        wanted.symlink_to(f"../{_AGENT_UNIT}")
        modules = self._root / "lib" / "modules"
        shutil.rmtree(modules, ignore_errors=True)
        shutil.copytree(KERNEL / "lib" / "modules", modules, symlinks=True)


class Wire(Running):
    """A virtual switch that joins hosts: an ordinary learning switch."""

    def start(self) -> None:
        """Run vde_switch, which ends when its standard input is closed."""
        self._directory = Path(tempfile.mkdtemp(prefix="sgctl-wire-"))
        self.socket = self._directory / "switch"
        log = self._directory / "log"
        with log.open("wb") as output:
            command = ["vde_switch", "--sock", str(self.socket)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)
        process.wait_ready(self._process, (self.socket / "ctl").exists, "vde_switch", log)

    def close(self) -> None:
        """End the switch."""
        process.stop(self._process)
        assert self._process.stdin is not None
        self._process.stdin.close()
        shutil.rmtree(self._directory, ignore_errors=True)


class Machine(Running):
    """A host called `name`, with a network card (eth0, eth1, …) on each of `wires`.

    `number` makes the MAC addresses of its cards unique.
    """

    def __init__(self, image: Image, name: str, wires: Sequence[Wire] = (), number: int = 1) -> None:
        self.name = name
        self._directory = Path(tempfile.mkdtemp(prefix="machine-", dir=DEBIAN))
        self._console = self._directory / "console"
        self._words = [
            str(KERNEL / "linux"),
            f"mem={_MEMORY}",
            f"ubd0={self._directory / 'changes'},{image.file}",
            "root=/dev/ubda",
            "rw",
            f"systemd.hostname={name}",
            "quiet",
            "con=null",
            "con0=null,fd:1",
            f"uml_dir={self._directory}",
        ]
        for card, wire in enumerate(wires):
            self._words.append(f"eth{card}=vde,{wire.socket},02:00:00:ff:{number:02x}:{card:02x}")
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def start(self) -> None:
        """Power on; the host has booted when this returns."""
        mine, its = socket.socketpair()
        with its, self._console.open("ab") as console:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self._words, f"ssl0=fd:{its.fileno()}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        self._line = mine
        self._answers = mine.makefile("rb")
        self._wait_booted()

    def reboot(self) -> None:
        """`systemctl reboot`; the host has booted again when this returns."""
        self._tell("systemctl reboot", 60)
        self._wait_booted()

    def power_off(self) -> None:
        """`systemctl poweroff`."""
        assert self._process is not None
        self._tell("systemctl poweroff", 60)
        self._process.wait(_BOOT_SECONDS)
        self._process = None

    def attempt(self, command: str, seconds: float = 60.0) -> tuple[int | None, str]:
        """Run a command in Bash as root; its exit code (None: took longer than `seconds`) and all output."""
        self._tell(command, seconds)
        answer = self._receive(seconds + 30)
        return answer["code"], answer["output"]

    def run(self, command: str, seconds: float = 60.0) -> str:
        """The output of a command in Bash, as root. Raises LabError when it fails."""
        code, output = self.attempt(command, seconds)
        if code != 0:
            raise LabError(f"{self.name}: {command}: exit {code}: {output.strip()[-2000:]}")
        return output

    def close(self) -> None:
        """Kill the host if it is running, and remove its files."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._line is not None:
            self._answers.close()
            self._line.close()
            self._line = None
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait_booted(self) -> None:
        message = self._receive(_BOOT_SECONDS)
        while "ready" not in message:
            message = self._receive(_BOOT_SECONDS)

    def _tell(self, command: str, seconds: float) -> None:
        assert self._line is not None, "it is switched on"
        self._line.sendall(json.dumps({"command": command, "seconds": seconds}).encode() + b"\n")

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._line is not None, "it is switched on"
        self._line.settimeout(seconds)
        try:
            line = self._answers.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise LabError(f"{self.name} does not answer; its console: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        return self._console.read_text(errors="replace")[-2000:]
