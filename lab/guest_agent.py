"""Runs commands for the machine outside: one line of JSON in by the serial line, one out.

`{"command": "…", "seconds": 60}` is answered by `{"code": 0, "output": "…"}`; `code` is null when the
command took longer and was killed. What it leaves running in the background goes on.
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
    """Through a file: a pipe would be open as long as anything in the background has it."""
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
