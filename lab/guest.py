"""A Linux kernel as a child process (User Mode Linux), with this machine's files and its own datapath.

`scripts/guest-kernel` builds the kernel. A guest has one processor; programs that call the kernel often run
at about a quarter of the usual speed. Everything that a guest writes is lost when it ends, except the output
and the exit code of its job and files in `shared`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.process import LabError
from lab.running import Running

REPOSITORY = Path(__file__).resolve().parents[1]
KERNEL = REPOSITORY / ".kernel"
_INIT = REPOSITORY / "scripts" / "guest-init"
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--", "unshare", "--pid", "--fork", "--kill-child", "--")
"""The kernel starts helper processes, which end with it only in a separate PID namespace."""
_MEMORY_MB = 3000
_POLL_SECONDS = 0.2
_LAST_LINES = 20


class Guest(Running):
    """A guest that runs one command during a `with` block.

    `command` runs as root in the folder of the repository, with `environment` added. `shared` is an empty
    folder to which guest and host write; what the guest writes elsewhere, the host does not see. `kernel` is
    the folder that `scripts/guest-kernel` made.
    """

    def __init__(
        self,
        command: Sequence[str],
        shared: Path,
        environment: Mapping[str, str] | None = None,
        kernel: Path = KERNEL,
    ) -> None:
        self._command = command
        self._environment = environment or {}
        self._shared = shared
        self._kernel = kernel
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the guest. Raises LabError when the kernel is missing."""
        program = self._kernel / "linux"
        if not program.exists():
            raise LabError(f"{program} is missing: make kernel builds it")
        self._write_job()
        with (self._shared / "console").open("wb") as console:
            self._process = subprocess.Popen(
                [*_ENDS_WITH_US, program, *self._settings()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": self._memory_directory()},
                start_new_session=True,  # Ctrl-C in the terminal does not reach it
            )

    def wait(self, seconds: float) -> int:
        """Wait for the command and return its exit code; copies its output to stdout meanwhile.

        Raises LabError with the end of the guest's console output when the guest ends without an exit code,
        or when the command takes longer than `seconds`.
        """
        assert self._process is not None, "the guest was not started"
        deadline, shown = time.monotonic() + seconds, 0
        while self._process.poll() is None:
            shown = self._show(shown)
            if time.monotonic() > deadline:
                raise LabError(f"the guest is not done after {seconds:g} s{self._last_words()}")
            time.sleep(_POLL_SECONDS)
        self._show(shown)
        try:
            return int((self._shared / "exit").read_text(encoding="ascii"))
        except (OSError, ValueError):
            raise LabError(f"the guest died{self._last_words()}") from None

    def close(self) -> None:
        """Kill the guest."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _write_job(self) -> None:
        settings = "".join(
            f"export {name}={shlex.quote(value)}\n" for name, value in self._environment.items()
        )
        job = self._shared / "job"
        command = f"cd {shlex.quote(str(REPOSITORY))}\n{settings}exec {shlex.join(self._command)}\n"
        job.write_text(f"#!/bin/sh\n{command}", encoding="utf-8")
        job.chmod(0o755)

    def _settings(self) -> list[str]:
        """The kernel's command line; the kernel passes unknown settings to its first process."""
        return [
            f"mem={_MEMORY_MB}M",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "quiet",
            "con=null",
            "con0=null,fd:1",
            f"uml_dir={self._shared}/uml",
            f"init={_INIT}",
            f"guest_kernel={self._kernel}",
            f"guest_job={self._shared}",
            f"guest_memory={_MEMORY_MB * 2 // 3}M",
        ]

    def _memory_directory(self) -> str:
        """The directory for the file with the guest's memory: /dev/shm if it has room."""
        memory = Path("/dev/shm")  # noqa: S108 - the kernel makes a file of its own there
        roomy = memory.is_dir() and shutil.disk_usage(memory).free > _MEMORY_MB << 20
        return str(memory if roomy else self._shared)

    def _show(self, shown: int) -> int:
        """Print the command's output after its first `shown` bytes; returns the new number of bytes."""
        output = self._shared / "output"
        if not output.exists():
            return shown
        with output.open("rb") as lines:
            lines.seek(shown)
            new = lines.read()
        sys.stdout.write(new.decode(errors="replace"))
        sys.stdout.flush()
        return shown + len(new)

    def _last_words(self) -> str:
        console = self._shared / "console"
        lines = console.read_text(errors="replace").splitlines() if console.exists() else []
        return "\n".join([":", *lines[-_LAST_LINES:]])
