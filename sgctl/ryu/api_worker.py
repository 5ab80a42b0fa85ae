"""The process of the API: `python -m sgctl.ryu.api_worker FD SETTINGS`, started by `sgctl.ryu.api_process`.

FD is the listening socket's file descriptor, SETTINGS the fields of ApiSettings and `policy_remote` as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from pathlib import Path

from sgctl.ryu import repair as ryu_repair
from sgctl.ryu.manager import collect_in_steps, collect_rarely, raise_file_limit
from sgctl.settings import ApiSettings

NICE = 1
"""Added to the niceness of the controller (setpriority(2)), which comes first when both have work."""
_write = os.write
"""As it was before eventlet replaced it, which lets only one green thread at a time wait for a file."""
_PATHS = ("tokens", "certificate", "key", "client_ca")


class RecordWriter(logging.Handler):
    """Writes each record as a line `[name, level, text]` in JSON to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Logging's hook."""
        line = json.dumps([record.name, record.levelno, self.format(record)])
        _write(2, line.encode() + b"\n")


def main() -> None:
    """Serve until the process is ended."""
    collect_rarely()  # while modules are loaded
    raise_file_limit()
    os.nice(NICE)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RecordWriter()])
    ryu_repair.prepare()
    from sgctl.ryu.http_server import serve  # noqa: PLC0415  # eventlet comes first

    collect_in_steps()
    values = json.loads(sys.argv[2])
    remote = values.pop("policy_remote")
    for name in _PATHS:
        values[name] = Path(values[name]) if values[name] is not None else None
    serve(ApiSettings(**values), remote, socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
