"""Requests of a replica that wait for the server's reply, and how each handles its reply."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sgctl.ovsdb.library import idl

LOG = logging.getLogger(__name__)

Json = Any


class Transaction(idl.Transaction):  # type: ignore[misc]  # the library has no types
    """A transaction that keeps the server's result of each operation."""

    results: list[Json] | None = None
    refusal: Json = None

    def _process_reply(self, msg: Any) -> None:
        self.results = msg.result
        self.refusal = msg.error
        super()._process_reply(msg)


class SchemaQuestion:
    """A request for the server's schema."""

    _status = ""

    def __init__(self, answer: Callable[[Json], None]) -> None:
        self._answer = answer

    def _process_reply(self, msg: Any) -> None:
        if isinstance(msg.result, dict):
            self._answer(msg.result)
        elif isinstance(msg.error, dict) and msg.error.get("error") == "unknown database":
            self._answer(None)
        else:
            LOG.error("the server did not send its schema: %s", describe_error(msg.error))


class LockQuestion:
    """A request to take or release a lock; keeps the server's reply."""

    _status = ""
    answer: Json = None
    refusal: Json = None

    def _process_reply(self, msg: Any) -> None:
        self.answer, self.refusal = msg.result, msg.error


class LockReply:
    """A request for a lock; calls `learn` with whether we hold it.

    If the server refuses locks (a read-only server does), the lock counts as held: no client can hold it.
    """

    _status = ""

    def __init__(self, learn: Callable[[bool], None]) -> None:
        self._learn = learn

    def _process_reply(self, msg: Any) -> None:
        self._learn(not isinstance(msg.result, dict) or bool(msg.result.get("locked")))


def describe_error(error: Json) -> str:
    """The server's error as one line of text."""
    if not isinstance(error, dict):
        return str(error)
    parts = (error.get("error"), error.get("details"), error.get("io-error"))
    return ": ".join(str(part) for part in parts if part)
