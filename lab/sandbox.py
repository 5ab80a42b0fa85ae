"""Runs work that makes bridges, devices, daemons and files, and guarantees that none of them remains.

The work runs in new PID, mount and network namespaces. When its first process ends in any way, the kernel
kills all other processes and removes the devices and the temporary files.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from lab import netns
from lab.process import LabError, run

CLONE_NEWPID = 0x20000000
CLONE_NEWNS = 0x00020000
_PR_SET_PDEATHSIG = 1
PRIVATE_DIRECTORY = Path("/run")
"""The directory in which programs look for sockets by default; it is empty inside the sandbox."""
_INTERRUPTED = 130

_libc = ctypes.CDLL(None, use_errno=True)
_outer_proc: list[int] = []


def run_isolated(work: Callable[[], int]) -> int:
    """The exit code of `work`, run in namespaces of its own; 130 after Ctrl-C.

    Temporary files go to a file system in memory that is removed, too. Raises LabError when namespaces
    cannot be made (they need root).
    """
    in_foreground = sys.stdin.isatty() and os.tcgetpgrp(0) == os.getpgrp()
    if _libc.unshare(CLONE_NEWPID):
        raise LabError(f"cannot make namespaces: {os.strerror(ctypes.get_errno())}; this needs root")
    first = os.fork()
    if first == 0:
        _child(lambda: _first_process(work))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work also gets the signal and handles it
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(first, signal.SIGKILL))
    code = _wait(first)
    if in_foreground:
        _take_terminal()
    return code


def outer_pid() -> int:
    """The process id of this isolated process outside its PID namespace."""
    return int(os.readlink("self", dir_fd=_outer_proc[0]))


def shield_daemons() -> None:
    """Let Ctrl-C reach this process and its later children, but not the daemons that are already running."""
    if sys.stdin.isatty():
        os.setpgid(0, 0)
        _take_terminal()


def _take_terminal() -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, before)


def _first_process(work: Callable[[], int]) -> int:
    """Process 1 of the namespace: reaps orphans and waits for the work; when it ends, all processes end."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if _libc.unshare(CLONE_NEWNS):
        raise LabError(f"cannot make namespaces: {os.strerror(ctypes.get_errno())}")
    _outer_proc.append(os.open("/proc", os.O_PATH | os.O_DIRECTORY))
    run(["mount", "--make-rprivate", "/"])
    run(["mount", "-t", "proc", "proc", "/proc"])
    run(["mount", "-t", "tmpfs", "sgctl-lab", str(PRIVATE_DIRECTORY)])
    os.environ["TMPDIR"] = str(PRIVATE_DIRECTORY)
    worker = os.fork()
    if worker == 0:
        _child(lambda: _isolated(work))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _wait(worker)


def _isolated(work: Callable[[], int]) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    netns.isolate()
    return work()


def _child(work: Callable[[], int]) -> None:
    """Run `work` and end the process with its result, so that no code of the parent's stack runs here."""
    code = 2
    try:
        code = work()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except LabError as error:
        sys.stderr.write(f"{error}\n")
    except BaseException:  # noqa: BLE001 - a forked process has no caller to report to
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(worker: int) -> int:
    """Reap every child until `worker` ends; its exit code, or 128 + signal."""
    while True:
        ended, status = os.wait()
        if ended == worker:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
