"""What stands among the requests of a replica that wait for an answer, and takes the answer in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sgctl.store.ovs_library import idl

LOG = logging.getLogger(__name__)

Json = Any


class Transaction(idl.Transaction):  # type: ignore[misc]  # the library has no types
    """Keeps the server's answer to each operation."""

    results: list[Json] | None = None
    refusal: Json = None

    def _process_reply(self, msg: Any) -> None:
        self.results = msg.result
        self.refusal = msg.error
        super()._process_reply(msg)


class SchemaQuestion:
    """Brings the server's schema."""

    _status = ""

    def __init__(self, answer: Callable[[Json], None]) -> None:
        self._answer = answer

    def _process_reply(self, msg: Any) -> None:
        if isinstance(msg.result, dict):
            self._answer(msg.result)
        elif isinstance(msg.error, dict) and msg.error.get("error") == "unknown database":
            self._answer(None)
        else:
            LOG.error("the server does not tell its schema: %s", describe_error(msg.error))


class LockQuestion:
    """Keeps the answer to a request for a lock."""

    _status = ""
    answer: Json = None
    refusal: Json = None

    def _process_reply(self, msg: Any) -> None:
        self.answer, self.refusal = msg.result, msg.error


class LockReply:
    """Tells whether a lock is ours.

    Where locks are refused, as by a server that is read-only, there is nobody to wait for.
    """

    _status = ""

    def __init__(self, learn: Callable[[bool], None]) -> None:
        self._learn = learn

    def _process_reply(self, msg: Any) -> None:
        self._learn(not isinstance(msg.result, dict) or bool(msg.result.get("locked")))


def describe_error(error: Json) -> str:
    """A server's error in one line."""
    if not isinstance(error, dict):
        return str(error)
    parts = (error.get("error"), error.get("details"), error.get("io-error"))
    return ": ".join(str(part) for part in parts if part)
