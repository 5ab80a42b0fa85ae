"""A local copy of an OVSDB database's rows that follows the server, and transactions on the server.

Rows are kept as the server sends them: JSON by column, without columns that hold the default of their type.
The `ovs` package's own row objects would cost ten times the time and memory, and are not created.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from sgctl.ovsdb.errors import StoreError
from sgctl.ovsdb.library import idl, ovs, poller
from sgctl.ovsdb.requests import LockQuestion, LockReply, SchemaQuestion, Transaction, describe_error

LOG = logging.getLogger(__name__)

T = TypeVar("T")

Json = Any
Row = dict[str, Json]
Operation = dict[str, Json]
"""An operation of an OVSDB transaction (RFC 7047 section 5.2)."""

FASTEST_RECONNECT_MS = 50
SLOWEST_ROUND_MS = 1000
"""Within this time every server of the remote is tried once, in milliseconds."""
_ROWS_BETWEEN_YIELDS = 500
_MOST_BATCHES = 100
_DEFAULTS: dict[str, Json] = {
    "integer": 0,
    "real": 0.0,
    "boolean": False,
    "string": "",
    "uuid": ["uuid", "00000000-0000-0000-0000-000000000000"],
}


class Column:
    """The structure of a column's values, from its type in the schema (RFC 7047 section 3.2)."""

    def __init__(self, schema: Json) -> None:
        kind = schema["type"]
        plain = isinstance(kind, str)
        self.is_map = not plain and "value" in kind
        self.is_set = not plain and not self.is_map and kind.get("max", 1) != 1
        self.default = self._default(kind)

    def _default(self, kind: Json) -> Json:
        if self.is_map:
            return ["map", []]
        if not isinstance(kind, str) and kind.get("min", 1) == 0:
            return ["set", []]
        base = kind if isinstance(kind, str) else kind["key"]
        return _DEFAULTS[base if isinstance(base, str) else base["type"]]

    def merge(self, value: Json, difference: Json) -> Json:
        """Apply a difference as monitors report it (ovsdb-server(7), "update2" notification)."""
        if self.is_map:
            pairs = {_key(key): (key, content) for key, content in value[1]}
            for key, content in difference[1]:
                if _key(key) in pairs and pairs[_key(key)][1] == content:
                    del pairs[_key(key)]
                else:
                    pairs[_key(key)] = (key, content)
            return ["map", [list(pair) for pair in pairs.values()]]
        if self.is_set:
            members = {_key(each): each for each in elements(value)}
            for each in elements(difference):
                if members.pop(_key(each), None) is None:
                    members[_key(each)] = each
            return ["set", list(members.values())]
        return difference


def _key(atom: Json) -> Json:
    return atom[1] if isinstance(atom, list) else atom


def elements(value: Json) -> list[Json]:
    """The elements of a set; OVSDB may write a set with one element as the element itself."""
    return list(value[1]) if isinstance(value, list) and value[0] == "set" else [value]


class Replica(idl.Idl):  # type: ignore[misc]  # the library has no types
    """A connection to `remote` and the rows of the tables and columns in `schema`.

    Reconnects automatically. Only methods that take a deadline or timeout block; they let other green threads
    run under eventlet. Only one thread, green or not, may use a replica.
    """

    def __init__(self, remote: str, schema: Json) -> None:
        helper = idl.SchemaHelper(schema_json=schema)
        helper.register_all()
        super().__init__(remote, helper)
        self.remote = remote
        self._session.reconnect.min_backoff = FASTEST_RECONNECT_MS
        self._session.reconnect.max_backoff = SLOWEST_ROUND_MS // len(self._session.remotes)
        self._session.reset_backoff()
        self.shapes = {
            table: {name: Column(column) for name, column in content["columns"].items()}
            for table, content in schema["tables"].items()
        }
        self.rows: dict[str, dict[str, Row]] = {table: {} for table in self.shapes}
        self.served: Json = {}
        """The schema of the server's database: None if it has no such database, empty until it is known."""
        self.refusals: dict[str, str] = {}
        """Requests that the server refused on this connection, with the reason.

        The `ovs` package ignores error replies that it does not expect.
        """
        self.granted: dict[str, bool] = {}
        """The locks of `want_lock`, and whether the server has granted them."""
        self._next_message = self._session.recv
        self._session.recv = self._receive
        self._touched: dict[tuple[str, str], None] = {}
        self._before_clear: dict[tuple[str, str], Row] = {}
        self._since_yield = 0

    @property
    def connected(self) -> bool:
        """Whether the rows are in sync with the server and transactions can be sent."""
        connection = self._session.rpc
        return self.state == self.IDL_S_MONITORING and connection is not None and not connection.get_status()

    @property
    def has_several_servers(self) -> bool:
        """Whether the remote names several servers, so that another one may take over."""
        return len(self._session.remotes) > 1

    @property
    def unreachable(self) -> bool:
        """Whether every server of the remote has been tried and none has ever accepted a connection."""
        tries = self._session.reconnect.get_stats(ovs.timeval.msec())
        tried = tries.n_attempted_connections >= len(self._session.remotes)
        return bool(tried and not tries.n_successful_connections)

    def pump(self) -> None:
        """Process everything that has been received."""
        for _ in range(_MOST_BATCHES):
            if not self.run():
                break

    def poll(self, timeout: float) -> None:
        """Sleep until something is received, for at most `timeout` seconds."""
        waiter = poller.Poller()
        self.wait(waiter)
        waiter.timer_wait(int(timeout * 1000))
        waiter.block()

    def pump_until(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Process what is received until the condition holds (True) or the deadline passes (False).

        The deadline is a time of the monotonic clock.
        """
        while True:
            self.pump()
            if condition():
                return True
            patience = deadline - time.monotonic()
            if patience <= 0:
                return False
            self.poll(patience)

    @property
    def has_touched(self) -> bool:
        """Whether `touched` would return any rows."""
        return bool(self._touched)

    def touched(self) -> list[tuple[str, str]]:
        """(table, id) of the rows that may have changed since the last call."""
        touched = list(self._touched)
        self._touched.clear()
        return touched

    def full_row(self, table: str, identifier: str, columns: Sequence[str]) -> Row:
        """These columns of a row, with defaults filled in."""
        row = self.rows[table][identifier]
        shapes = self.shapes[table]
        return {name: row.get(name, shapes[name].default) for name in columns}

    def transact(self, operations: Sequence[Operation], deadline: float) -> list[Json] | None:
        """The server's results: one for each operation, and possibly one more for the whole transaction.

        None when the connection was lost before the reply, so that the outcome is unknown. Raises StoreError
        when there is no connection, when the requested lock is not held, and when no reply comes by the
        deadline (monotonic clock).
        """
        if not self.connected:
            raise StoreError(f"not connected to {self.remote}; nothing was written")
        transaction = Transaction(self)
        for operation in operations:
            transaction.add_op(operation)
        if transaction.commit() == transaction.NOT_LOCKED:
            self.require_no_refusal()
            raise StoreError(f"{self.remote} has not given us the lock {self.lock_name}; nothing was written")
        # After a lost connection the library ends a transaction only once it is connected again, which may
        # be possible only after we have returned.
        if not self.pump_until(
            lambda: transaction.commit() != transaction.INCOMPLETE or not self.connected, deadline
        ):
            raise StoreError(
                f"{self.remote} did not answer in time; the change may or may not have been made"
            )
        if transaction.refusal is not None:
            raise StoreError(f"{self.remote} refused: {describe_error(transaction.refusal)}")
        return transaction.results

    def try_locks(self, names: Sequence[str], timeout: float) -> list[bool]:
        """Whether each lock is free; `timeout` in seconds. Raises StoreError.

        Sends "lock" and "unlock" together, so no other client has to wait, even if this process dies.
        """
        questions = []
        for name in names:
            questions.append(self._ask("lock", name, LockQuestion()))
            self._ask("unlock", name, LockQuestion())

        def answered() -> bool:
            return all(each.answer is not None or each.refusal is not None for each in questions)

        if not self.pump_until(lambda: answered() or not self.connected, time.monotonic() + timeout):
            raise StoreError(f"{self.remote} did not answer in time")
        for name, question in zip(names, questions, strict=True):
            if question.answer is None:
                reason = describe_error(question.refusal) if question.refusal else "the connection was lost"
                raise StoreError(f"{self.remote} refused the lock {name}: {reason}")
        return [bool(question.answer.get("locked")) for question in questions]

    def want_lock(self, name: str) -> None:
        """Request a lock in addition to that of `set_lock`; the server grants it in the order of requests.

        `granted` tells whether we hold it. The lock is lost when the connection is lost.
        """
        if name not in self.granted:
            self.granted[name] = False
            self._ask("lock", name, LockReply(partial(self._learn_lock, name)))

    def release_lock(self, name: str) -> None:
        """Release a lock, or withdraw the request for it."""
        if self.granted.pop(name, None) is not None:
            self._ask("unlock", name, LockQuestion())

    def _learn_lock(self, name: str, granted: bool) -> None:
        if name in self.granted:
            self.granted[name] = granted

    def _ask(self, method: str, name: str, question: T) -> T:
        request = ovs.jsonrpc.Message.create_request(method, [name])
        self._outstanding_txns[request.id] = question
        self._session.send(request)
        return question

    def wait_for_rows(
        self, deadline: float, refused_until: float | None, check: Callable[[], None] = lambda: None
    ) -> bool:
        """Wait for the rows; returns whether they came before the deadline (monotonic clock).

        If the remote accepts no connection, gives up at `refused_until`, unless that is None. `check` is
        called while waiting and may raise. Raises StoreError when the server refuses a request.
        """

        def over() -> bool:
            check()
            self.require_no_refusal()
            hopeless = refused_until is not None and time.monotonic() >= refused_until and self.unreachable
            return self.connected or hopeless

        if refused_until is not None:
            self.pump_until(over, refused_until)
        self.pump_until(over, deadline)
        return self.connected

    def require_no_refusal(self) -> None:
        """Raise StoreError if the server refused a request, because waiting for it would be useless."""
        for request, reason in self.refusals.items():
            raise StoreError(f"{self.remote} refused {request}: {reason}")

    def _receive(self) -> Any:
        """The session's next message, None for none. Records error replies that nothing else handles."""
        message = self._next_message()
        if message is not None and message.method in ("locked", "stolen"):
            self._learn_lock(message.params[0], message.method == "locked")
        if message is not None and message.type == ovs.jsonrpc.Message.T_ERROR and not self._is_read(message):
            request, reason = self._request(message.id), describe_error(message.error)
            LOG.error("%s refused %s: %s", self.remote, request, reason)
            self.refusals[request] = reason
        return message

    def _is_read(self, error: Any) -> bool:
        """Whether the library handles this error, by a transaction or by falling back to an older request."""
        if error.id in self._outstanding_txns:
            return True
        if error.id == self._monitor_request_id:
            return bool(error.error == "unknown method") and self.state != self.IDL_S_DATA_MONITOR_REQUESTED
        return error.id in (self._server_schema_request_id, self._server_monitor_request_id)

    def _request(self, identifier: Json) -> str:
        if identifier == self._lock_request_id:
            return f"the lock {self.lock_name}"
        if identifier == self._monitor_request_id:
            return f"to show the database {self._db.name}"
        return f"request {identifier}"

    def restart_fsm(self) -> None:
        """The library's hook for a new connection or a new schema: request the schema.

        The library itself only reads the server's table of databases, which Open vSwitch 3.1 does not update
        when it converts a database.
        """
        self.refusals.clear()
        self.granted.clear()
        super().restart_fsm()
        question = ovs.jsonrpc.Message.create_request("get_schema", [self._db.name])
        self._outstanding_txns[question.id] = SchemaQuestion(self._learn_schema)
        self._session.send(question)

    def _learn_schema(self, schema: Json) -> None:
        self.served = schema

    def _Idl__parse_update(self, update: Json, version: str, tables: Any = None) -> None:  # noqa: N802
        """Process changed rows; overrides a private method of the library, by its mangled name."""
        if tables:
            super()._Idl__parse_update(update, version, tables)
            return
        for table, changed_rows in update.items():
            for identifier, change in changed_rows.items():
                self._step(table, identifier, change)
                self._yield_sometimes()
        self._before_clear.clear()
        self.change_seqno += 1

    def _step(self, table: str, identifier: str, change: Json) -> None:
        rows = self.rows[table]
        key = table, identifier
        self._touched[key] = None
        if "modify" in change:
            row = dict(rows[identifier])
            for name, difference in change["modify"].items():
                shape = self.shapes[table][name]
                row[name] = shape.merge(row.get(name, shape.default), difference)
            rows[identifier] = row
        elif "delete" in change:
            rows.pop(identifier, None)
        else:
            rows[identifier] = row = change["initial"] if "initial" in change else change["insert"]
            if self._before_clear.get(key) == row:
                del self._touched[key]  # the row is the same as before the reconnection

    def _Idl__clear(self) -> None:  # noqa: N802
        """Forget all rows: after a new connection the server sends all of them again."""
        for table, rows in self.rows.items():
            for identifier, row in rows.items():
                if (table, identifier) not in self._touched:
                    self._before_clear[table, identifier] = row
                    self._touched[table, identifier] = None
            rows.clear()

    def _yield_sometimes(self) -> None:
        self._since_yield += 1
        if self._since_yield >= _ROWS_BETWEEN_YIELDS:
            self._since_yield = 0
            time.sleep(0)  # under eventlet: let other green threads run


def first_error(results: Sequence[Json]) -> tuple[int, Json] | None:
    """The position and content of a transaction's first error; None when the transaction succeeded."""
    return next(_errors(results), None)


def _errors(results: Sequence[Json]) -> Iterator[tuple[int, Json]]:
    for position, result in enumerate(results):
        if isinstance(result, dict) and "error" in result:
            yield position, result
