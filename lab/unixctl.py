"""A client of a daemon's control socket, as ovs-appctl(8), without starting a program for each call."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Self

from lab.process import LabError

_SECONDS = 30


class Control:
    """A connection. Raises OSError when no daemon listens on `path`."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._decoder = json.JSONDecoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, command: str, *arguments: str) -> str:
        """The command's output. Raises LabError when the daemon reports an error or closes the connection."""
        request = {"id": 0, "method": command, "params": arguments}
        self._socket.sendall(json.dumps(request).encode())
        received = b""
        while chunk := self._socket.recv(1 << 20):
            received += chunk
            try:
                reply, _ = self._decoder.raw_decode(received.decode())
            except ValueError:
                continue
            if reply["error"]:
                raise LabError(f"{command} {' '.join(arguments)}: {reply['error']}")
            return str(reply["result"])
        raise LabError(f"{command}: the daemon closed the connection")
