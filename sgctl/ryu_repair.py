"""What Ryu 4.34 needs to run on today's eventlet and Python. The one place that knows about it.

`prepare` comes before everything else in the process, `repair_imports` before Ryu's other modules,
`format_log`, `listen_alone` and `interrupt_cleanly` before Ryu's main loop and in its green thread, the main
one.
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

from sgctl import ryu_imports
from sgctl.log import format_lines


def prepare(threads: bool = True) -> None:
    """Let eventlet replace the blocking parts of the standard library, Ryu's way of being concurrent.

    Ryu does it in two steps with imports in between, and eventlet then complains about the locks made
    meanwhile. `threads=False` leaves threading alone, for debuggers (Ryu's `--enable-debugger`).
    """
    warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")  # true, and nothing a user can act on
    # Its resolver for names in Python takes longer to load than all the rest; addresses need none.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    import eventlet

    eventlet.monkey_patch(all=True, thread=threads)


def repair_imports() -> None:
    """Mend what Ryu imports from eventlet, and its way of finding an application."""
    import eventlet.wsgi

    # Gone from eventlet, whose WebSocket handler now leaves word in a thread-local flag by itself; what
    # the application returns after that is an iterable like any other.
    eventlet.wsgi.ALREADY_HANDLED = []
    import ryu.utils

    ryu_imports.import_quickly()
    ryu_import = ryu.utils.import_module

    def import_module(name: str) -> ModuleType:
        module: ModuleType = (ryu_import if is_source_file(name) else importlib.import_module)(name)
        return module

    ryu.utils.import_module = import_module


def is_source_file(name: str) -> bool:
    """Whether an application's name means a file.

    Ryu takes anything of that name in the current directory, such as the folder of the package itself.
    """
    return (name.endswith(".py") or os.sep in name) and Path(name).is_file()


def listen_alone() -> None:
    """Make a port in use end the process with one line on standard error.

    eventlet listens with SO_REUSEPORT: a second controller would silently take every other switch.
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
    """Which process listens on a TCP port, in brackets; empty when ss(8) does not tell.

    Of several with the same socket it is the one that was there first, and gave it to the others.
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
    """Give log lines a time, a level and the name of who writes them, once Ryu has set up its log."""
    from ryu import cfg, log

    init_log = log.init_log

    def init() -> None:
        init_log()
        format_lines(cfg.CONF)

    log.init_log = init


def interrupt_cleanly() -> None:
    """Let SIGINT and SIGTERM end Ryu's main loop, so that applications get closed."""
    throw = _thrower()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        throw(KeyboardInterrupt())

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _thrower() -> Callable[[BaseException], None]:
    """A function that raises an exception in the green thread that is running now, from any other.

    Ryu's green threads catch and log everything, and the process would go on without what failed.
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
