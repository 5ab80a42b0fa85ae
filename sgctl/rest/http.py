"""Requests and responses as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sgctl.rest.credentials import Caller
from sgctl.rest.turns import Turn

Json = Any
"""What `json` reads and writes."""

Body = dict[str, Json]
"""A JSON object."""

Client = str | int
"""An address, or the id of a local user: local users share an address, and have many (127.0.0.0/8)."""

MAX_BODY_BYTES = 1 << 20
"""The largest request body that is read."""


@dataclass(slots=True, eq=False)
class Peer:
    """The client of a connection: its address `host`, and its user id `uid` if it is on this machine.

    `caller` made the last allowed request on the connection.
    """

    host: str = ""
    uid: int | None = None
    caller: Caller | None = None

    @property
    def client(self) -> Client:
        """The client for which limits count."""
        return self.host if self.uid is None else self.uid


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is unquoted; `query` in order, names may repeat; header names are in lower case.

    `peer` is who made the connection, `certificate` the common name of its verified TLS certificate, and
    `origin` the scheme, host and port under which the client reached us. `turn` is when it is worked on.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: Peer = field(default_factory=Peer)
    certificate: str = ""
    origin: str = ""
    turn: Turn = field(default_factory=Turn)

    def values(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path between slashes, without empty ones."""
        return tuple(part for part in self.path.split("/") if part)


@dataclass(frozen=True, slots=True)
class Response:
    """`body` comes in pieces so that a long list need not be built at once."""

    status: int
    body: tuple[bytes, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


JSON = (("Content-Type", "application/json"),)


def reply(document: Json, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A JSON answer."""
    return Response(status, (_dump(document),), (*JSON, *headers))


def reply_list(
    turn: Turn, key: str, items: Iterable[Json], links: list[Json] | None = None, status: int = 200
) -> Response:
    """`{key: [items], key_links: [...]}`, each item serialised on its own."""
    pieces: list[bytes] = [b'{"%s": [' % key.encode()]
    for position, item in enumerate(items):
        pieces += [b", " if position else b"", _dump(item)]
        turn.pause()
    tail = b', "%s_links": %s' % (key.encode(), _dump(links)) if links else b""
    pieces += [b"]", tail, b"}"]
    return Response(status, tuple(pieces), JSON)


NO_CONTENT = Response(204)


def _dump(document: Json) -> bytes:
    return json.dumps(document).encode()
