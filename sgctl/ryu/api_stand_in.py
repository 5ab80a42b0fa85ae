"""Answers the API's clients while its process cannot be started; else they would wait for ever."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Any

from sgctl import runtime
from sgctl.rest.errors import ApiError, error_response

ANSWER_SECONDS = 0.5
"""How long a client may take to send its request and to read the answer."""
REQUEST_BYTES = 1 << 16
MOST_CLIENTS = 64
"""Clients that are answered at the same time. Further connections are closed at once."""
ACCEPT_AGAIN_SECONDS = 0.1
"""After a failed accept, for example because there are no file descriptors left."""


class _OverError(Exception):
    """It is time to try to start the process again."""


class StandIn:
    """Answers every request with status 503 and a text. With `tls` it only closes the connections."""

    def __init__(self, *, tls: bool) -> None:
        self._tls = tls
        self._clients = 0

    def serve(self, listening: Any, seconds: float, text: str) -> None:
        """Answer for some time."""
        answer = b"" if self._tls else _answer(text)
        with suppress(_OverError), runtime.timeout(seconds, _OverError()):
            while True:
                try:
                    stream, _ = listening.accept()
                except OSError:
                    runtime.sleep(ACCEPT_AGAIN_SECONDS)
                    continue
                if self._clients >= MOST_CLIENTS:
                    stream.close()
                else:
                    self._clients += 1
                    runtime.spawn(self._serve_one, stream, answer)
                runtime.sleep(0)  # a socket with more connections waiting lets no other thread run

    def _serve_one(self, stream: Any, answer: bytes) -> None:
        try:
            stream.settimeout(ANSWER_SECONDS)
            if answer and stream.recv(REQUEST_BYTES):
                stream.sendall(answer)
        except OSError:
            return  # the client is slow or has left
        finally:
            self._clients -= 1
            stream.close()


def _answer(text: str) -> bytes:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    response = error_response(ApiError(status.value, "ServiceUnavailable", text), "/v2.0")
    body = b"".join(response.body)
    fields = [*response.headers, ("Content-Length", str(len(body))), ("Connection", "close")]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body
