"""Runs commands for the host, inside a guest: reads and answers lines of JSON on the serial line.

`{"command": "…", "seconds": 60}` is answered by `{"code": 0, "output": "…"}`; `code` is null when the
command took longer and was killed. Its background processes keep running.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import tty
from pathlib import Path
from typing import IO


def main(device: str) -> None:
    """Serve the serial line for ever."""
    with Path(device).open("rb") as questions, Path(device).open("wb", buffering=0) as answers:
        tty.setraw(questions.fileno())
        _tell(answers, {"ready": os.uname().nodename})
        for question in questions:
            asked = json.loads(question)
            code, output = _run(asked["command"], asked["seconds"])
            _tell(answers, {"code": code, "output": output})


def _tell(answers: IO[bytes], message: dict[str, object]) -> None:
    text = memoryview(json.dumps(message).encode() + b"\n")
    while text:
        text = text[answers.write(text) :]


def _run(command: str, seconds: float) -> tuple[int | None, str]:
    """Run a command. Its output goes to a file: background processes would keep a pipe open."""
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            ["/bin/bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = running.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            code = None
        output.seek(0)
        return code, output.read().decode(errors="replace")


if __name__ == "__main__":
    main(sys.argv[1])
