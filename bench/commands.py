"""How long short commands of the command line take: mostly the start, which is the import of modules."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.record import Record
from bench.workload import BenchWorkload
from flows.policy.objects import Change
from lab.process import LabError
from sgctl.store import Store
from sgctl.store.server import PolicyServer

_SGCTL = Path(sys.executable).with_name("sgctl")
_COMMANDS = {
    "start_python": [sys.executable, "-c", ""],
    "start_help": [str(_SGCTL), "--help"],
    "start_get": [str(_SGCTL), "get", "ports"],
    "start_complete": [str(_SGCTL)],
}
_COMPLETE = {"_SGCTL_COMPLETE": "bash_complete", "COMP_WORDS": "sgctl des", "COMP_CWORD": "1"}
_ROUNDS, _QUICK_ROUNDS = 30, 10


def measure(record: Record) -> None:
    """The commands in turn, on a policy of 20 ports and 50 rules; the first round is not counted."""
    took: dict[str, list[float]] = {key: [] for key in _COMMANDS}
    with TemporaryDirectory(prefix="sgctl-bench-") as directory:
        server = PolicyServer(Path(directory, "policy.db"), Path(directory, "policy.sock"))
        server.start()
        try:
            with closing(Store.connect(server.remote)) as store:
                store.commit([Change(None, obj) for obj in BenchWorkload(20, 50).objects()])
            for counted in range((_QUICK_ROUNDS if record.quick else _ROUNDS) + 1):
                for key, command in _COMMANDS.items():
                    seconds = _seconds(key, command, server.remote)
                    took[key] += [seconds] if counted else []
        finally:
            server.stop()
    for key, seconds_of in took.items():
        record.median_ms(key, seconds_of)


def _seconds(key: str, command: list[str], remote: str) -> float:
    environment = os.environ | {"SGCTL_DB": remote} | (_COMPLETE if key == "start_complete" else {})
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    took = time.perf_counter() - start
    if key != "start_python" and not done.stdout:
        raise LabError(f"{' '.join(command)} printed nothing")
    return took
