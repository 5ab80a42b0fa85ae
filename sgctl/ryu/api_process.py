"""The API in a separate process, so that requests of members do not delay the control loop.

See docs/decisions/fair-turns.md. The controller listens, and passes the socket to the process; it starts
another one when that ends, and logs what it says.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from sgctl import runtime
from sgctl.rest.configuration import check_settings
from sgctl.runtime import Thread
from sgctl.ryu.api_stand_in import StandIn
from sgctl.settings import ApiSettings

LOG = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Before a process that ended is replaced."""
LONGEST_PAUSE_SECONDS = 60.0
QUICK_SECONDS = 10.0
"""A process that ends sooner than this has failed to start."""
FEW_FAILURES = 3
"""After this many failures in a row, clients get errors instead of waiting, and each pause doubles."""


class Northbound:
    """The API's process. Raises AccessError when its settings would leave it open."""

    def __init__(self, settings: ApiSettings, policy_remote: str, host: str, port: int) -> None:
        self._settings = settings
        self._policy_remote = policy_remote
        self._address = (host, port)
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: Thread | None = None
        self._stand_in = StandIn(tls=settings.certificate is not None)
        self._last_line = ""
        check_settings(settings, host)

    def start(self) -> None:
        """Listen, and start the process. Ends the controller if another process listens there."""
        self._thread = runtime.spawn(self._run, runtime.listen(*self._address))

    def stop(self) -> None:
        """Stop listening, and end the process."""
        if self._thread is not None:
            self._thread.kill()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _run(self, listening: Any) -> None:
        failures = 0
        while True:
            begin = time.monotonic()
            self._launch(listening)
            failures = failures + 1 if time.monotonic() - begin < QUICK_SECONDS else 0
            pause = pause_after(failures)
            if failures < FEW_FAILURES:
                runtime.sleep(pause)
                continue
            why = f"the API does not start ({failures} attempts): {self._last_line}"
            LOG.error("%s; clients get errors, and the next attempt is in %.0f s", why, pause)
            self._stand_in.serve(listening, pause, "The API does not start; see the controller's log")

    def _launch(self, listening: Any) -> None:
        """Start the process, and return when it has ended."""
        here, there = socket.socketpair()
        os.set_blocking(there.fileno(), True)  # the process does not expect otherwise
        with here, there:
            what = {**asdict(self._settings), "policy_remote": self._policy_remote}
            command = [sys.executable, "-P", "-m", "sgctl.ryu.api_worker", str(listening.fileno())]
            self._process = subprocess.Popen(
                # The kernel ends it with us, however we end.
                ["setpriv", "--pdeathsig", "KILL", "--", *command, json.dumps(what, default=str)],
                stdin=subprocess.DEVNULL,
                stderr=there.fileno(),
                pass_fds=[listening.fileno()],
            )
            there.close()
            with here.makefile("rb") as said:
                for line in said:
                    self._last_line = _log(line)
        LOG.error("the API process has ended (%s); starting another one", self._process.wait())


def pause_after(failures: int) -> float:
    """The seconds until the next attempt after so many failures in a row."""
    return float(min(PAUSE_SECONDS * 2 ** max(0, failures - FEW_FAILURES + 1), LONGEST_PAUSE_SECONDS))


def _log(line: bytes) -> str:
    """Log a line of the process, and return its text: a record of its log, or a line of a traceback."""
    text = line.decode(errors="replace").rstrip()
    name, level = LOG.name, logging.ERROR
    with suppress(ValueError, TypeError, LookupError):
        said = json.loads(text)
        name, level, text = str(said[0]), int(said[1]), said[2]
    logging.getLogger(name).log(level, "%s", text)
    return text
