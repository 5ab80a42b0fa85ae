"""Child processes that end with this process, and functions that wait until they are ready."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.005


class LabError(Exception):
    """A part of the test bench failed; the message names it and shows its output."""


def spawn(arguments: Sequence[str | Path], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program with its output appended to `log`.

    The kernel kills the program when the calling thread ends, so call this from a long-lived thread.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,  # Ctrl-C in the terminal does not reach it
        )


def stop(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """Ask a child to end, and kill it if it has not ended after `patience` seconds."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(arguments: Sequence[str | Path], env: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """The standard output of a program that ends within 60 seconds; LabError with its errors if it fails."""
    done = subprocess.run(
        list(map(str, arguments)),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )
    if done.returncode:
        command = " ".join(map(str, arguments))
        raise LabError(f"{command}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def statistics(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command, the state first (proc(5)). Raises OSError."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def processor_seconds(pid: int) -> float:
    """The processor time, in seconds, that all threads of a process have taken so far."""
    user, system = map(int, statistics(pid)[11:13])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 40.0) -> None:
    """Check every 5 ms until `condition` holds; LabError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not after {timeout:g} s")
        time.sleep(POLL_SECONDS)


def wait_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], what: str, log: Path) -> None:
    """Wait until a started child is `ready`; LabError with the end of its log if it ends or times out."""

    def ready_or_ended() -> bool:
        return process.poll() is not None or ready()

    try:
        wait_until(ready_or_ended, what)
        if process.returncode is None:
            return
        problem = f"{what}: exit {process.returncode}"
    except LabError as error:
        problem = str(error)
    raise LabError(f"{problem}\n{last_words(log)}")


def last_words(log: Path) -> str:
    """The last 2,000 characters of a log file."""
    return log.read_text(errors="replace")[-2000:]


def answers(address: Path | tuple[str, int]) -> bool:
    """Whether a server accepts connections on a Unix socket's path or a TCP (host, port)."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(address) if isinstance(address, Path) else address)
        except OSError:
            return False
        return True


def kill_daemons(directory: Path) -> None:
    """Kill daemons that left pid files in `directory`, if they were started for this directory."""
    for pidfile in directory.glob("*.pid"):
        pid = int(pidfile.read_text().strip() or 0)
        command = Path(f"/proc/{pid}/cmdline")
        if pid and command.exists() and os.fsencode(directory) in command.read_bytes():
            os.kill(pid, signal.SIGKILL)
