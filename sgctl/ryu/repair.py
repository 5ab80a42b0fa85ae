"""All changes that Ryu 4.34 needs to run on current versions of eventlet and Python.

Call `prepare` before everything else in the process, and `repair_imports` before importing Ryu's other
modules. Call `format_log`, `listen_alone` and `interrupt_cleanly` before Ryu's main loop, in the main green
thread, which runs that loop.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import signal
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from sgctl.log import format_lines
from sgctl.ryu import imports as ryu_imports


def prepare(threads: bool = True) -> None:
    """Let eventlet replace the blocking parts of the standard library, on which Ryu's concurrency is built.

    Ryu itself does this in two steps with imports between them, and eventlet then warns about locks that the
    imports created. `threads=False` leaves threading unchanged, for debuggers (Ryu's `--enable-debugger`).
    """
    warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")  # true, but users cannot act on it
    # eventlet's own DNS resolver takes longer to load than everything else; we only use addresses.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    import eventlet

    eventlet.monkey_patch(all=True, thread=threads)


def repair_imports() -> None:
    """Repair Ryu's imports from eventlet and its search for an application."""
    import eventlet.wsgi

    # eventlet removed this name. Its WebSocket handler now sets a thread-local flag itself, and ignores
    # which iterable the application returns after that.
    eventlet.wsgi.ALREADY_HANDLED = []
    import ryu.utils

    ryu_imports.import_quickly()
    ryu_import = ryu.utils.import_module

    def import_module(name: str) -> ModuleType:
        module: ModuleType = (ryu_import if is_source_file(name) else importlib.import_module)(name)
        return module

    ryu.utils.import_module = import_module


def is_source_file(name: str) -> bool:
    """Whether an application's name is the path of a source file.

    Ryu takes any file or folder of that name in the current directory, such as the package's own folder.
    """
    return (name.endswith(".py") or os.sep in name) and Path(name).is_file()


def listen_alone() -> None:
    """End the process with one line on standard error when a port is already in use.

    eventlet listens with SO_REUSEPORT: a second controller would silently get every other switch.
    """
    import eventlet
    from greenlet import GreenletExit

    throw = _thrower()
    shared_listen = eventlet.listen

    def listen(address: tuple[str, int] | str, **options: Any) -> Any:
        try:
            return shared_listen(address, **{"reuse_port": False, **options})
        except OSError as error:
            where = address if isinstance(address, str) else ":".join(map(str, address))
            text = f"ryu-manager: cannot listen on {where}: {error.strerror}"
            if error.errno == errno.EADDRINUSE and not isinstance(address, str):
                text += listener_on(address[1])
            throw(SystemExit(text))
            raise GreenletExit from error

    eventlet.listen = listen


def listener_on(port: int) -> str:
    """The process that listens on a TCP port, in parentheses; empty when ss(8) does not show one.

    When several processes share the socket, it is the first of them: the others inherited the socket.
    """
    command = ["ss", "-Hltnp", f"sport = :{port}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.findall(r'\("([^"]+)",pid=(\d+)', told)
    if not found:
        return ""
    name, pid = min(found, key=lambda user: int(user[1]))
    return f" ({name}, process {pid}, listens there)"


def format_log() -> None:
    """Add time, level and logger name to log lines, after Ryu has set up its log."""
    from ryu import cfg, log

    init_log = log.init_log

    def init() -> None:
        init_log()
        format_lines(cfg.CONF)

    log.init_log = init


def interrupt_cleanly() -> None:
    """Make SIGINT and SIGTERM end Ryu's main loop, so that it closes its applications."""
    throw = _thrower()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        throw(KeyboardInterrupt())

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _thrower() -> Callable[[BaseException], None]:
    """A function that raises an exception in the current green thread when another green thread calls it.

    Ryu's green threads catch and log every exception, so the process would continue without the failed part.
    """
    from eventlet import hubs
    from greenlet import getcurrent

    receiver = getcurrent()

    def throw(exception: BaseException) -> None:
        hub = hubs.get_hub()
        if getcurrent() in (receiver, hub.greenlet):  # the hub passes it on to the main green thread
            raise exception
        hub.schedule_call_global(0, receiver.throw, exception)

    return throw
