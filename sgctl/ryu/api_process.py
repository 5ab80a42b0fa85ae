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
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from sgctl import runtime
from sgctl.rest.configuration import check_settings
from sgctl.runtime import Thread
from sgctl.settings import ApiSettings

LOG = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Before a process that ended is replaced."""


class Northbound:
    """The API's process. Raises AccessError when its settings would leave it open."""

    def __init__(self, settings: ApiSettings, policy_remote: str, host: str, port: int) -> None:
        self._settings = settings
        self._policy_remote = policy_remote
        self._address = (host, port)
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: Thread | None = None
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
        while True:
            self._launch(listening)
            runtime.sleep(PAUSE_SECONDS)

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
                    _log(line)
        LOG.error("the API process has ended (%s); starting another one", self._process.wait())


def _log(line: bytes) -> None:
    """Log a line of the process: a record of its log, or a line of a traceback."""
    text = line.decode(errors="replace").rstrip()
    name, level = LOG.name, logging.ERROR
    with suppress(ValueError, TypeError, LookupError):
        said = json.loads(text)
        name, level, text = str(said[0]), int(said[1]), said[2]
    logging.getLogger(name).log(level, "%s", text)
