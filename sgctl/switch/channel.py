"""Requests on one OpenFlow connection, as functions that wait for the reply."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain

from flows.openflow import wire
from flows.openflow.actions import Action
from flows.openflow.flow import Flow
from flows.openflow.message_signature import signature
from sgctl import runtime
from sgctl.optimizations import is_on
from sgctl.switch import messages
from sgctl.switch.connection import Connection
from sgctl.switch.exchange import Exchange, SwitchRefused
from sgctl.switch.messages import ControllerRole, Reply, SwitchError

CHUNK_BYTES = 1 << 16
MOST_EDITS = 1 << 24
"""Edits in one change: this many transaction ids are reserved when the number of edits is unknown."""
_METER_REQUESTS = (
    (wire.MeterCommand.MODIFY, wire.UNKNOWN_METER),
    (wire.MeterCommand.ADD, wire.METER_EXISTS),
)
REQUESTS_OF_METER = len(_METER_REQUESTS)
REQUESTS_AROUND = 4
"""Open, barrier, commit, barrier."""
FEW_EDITS = 256
"""Up to this number of edits, the barrier before the commit is left out if their signatures are known to be
readable. With more edits that barrier costs little."""
MATCH_FRAGMENTS = 3
"""OFPC_FRAG_NX_MATCH of Open vSwitch: first fragments keep their ports (ovs-ofctl(8), set-frags)."""

NameOf = Callable[[int], str]
"""Returns the name of a switch in the log, from its datapath id."""


def by_number(dpid: int) -> str:
    """The name of a switch of which only the datapath id is known: 16 hexadecimal digits."""
    return f"{dpid:016x}"


class Channel:
    """Sends requests to one switch and waits for the replies.

    Only one green thread may call its methods, except those that say otherwise. The green thread that reads
    the connection calls `receive`.
    """

    def __init__(
        self,
        connection: Connection,
        on_its_way: Callable[[], None] = lambda: None,
        name_of: NameOf = by_number,
        budgets: wire.Budgets = wire.BUDGETS,
    ) -> None:
        """`on_its_way` is called when a large change has been sent and the switch is processing it.

        `name_of` returns the name of a switch in the log. `budgets` has the limits of the flows' meters.
        """
        self._name_of = name_of
        self._on_its_way = on_its_way
        self._budgets = budgets
        self._meters: set[int] = set()
        self._connection = connection
        self._exchange = Exchange()
        self._bundle = 0
        self._readable: set[Hashable] = set()
        self._most_by_signature = FEW_EDITS if is_on("signatures") else -1

    @property
    def dpid(self) -> int:
        """The switch's datapath id."""
        return self._connection.dpid

    @property
    def name(self) -> str:
        """The switch's name in the log."""
        return self._name_of(self.dpid)

    def receive(self, reply: Reply) -> None:
        """Process a reply or an error."""
        self._exchange.take(reply)

    def transmit(self, out: Action, frame: bytes) -> None:
        """Make the switch send a frame, unless the send queue is full. Any green thread may call this."""
        self._connection.offer(messages.packet_out(out.encode(), frame, self._connection.reserve(1)))

    def answers(self, seconds: float) -> bool:
        """Whether the switch sends anything within `seconds`. Any green thread may call this."""
        return self._connection.answers(seconds)

    def installed(self) -> list[wire.Installed]:
        """All flows of the switch. Also sets the fragment mode. Raises SwitchRefused."""
        exchange = self._begin(2)
        mode = messages.set_config(MATCH_FRAGMENTS, exchange.ask("the fragment mode"))
        self._send([mode, messages.flow_stats_request(exchange.ask("a question for all flows"))])
        exchange.answer()
        return exchange.flows

    def flow_counts(self) -> dict[int, int]:
        """The number of flows in each table. Raises SwitchRefused."""
        exchange = self._begin(1)
        self._send([messages.table_stats_request(exchange.ask("a question for the tables"))])
        exchange.answer()
        return exchange.counts

    def flows_of_others(self) -> list[wire.Installed]:
        """The flows whose cookie has neither of our tags. Raises SwitchRefused."""
        exchange = self._begin(len(wire.OTHERS_COOKIES))
        self._send(
            messages.flow_stats_request(exchange.ask("a question for flows of others"), cookie, mask)
            for cookie, mask in wire.OTHERS_COOKIES
        )
        exchange.answer()
        return exchange.flows

    def push(self, edits: Iterable[wire.Edit]) -> None:
        """Make a change in one atomic bundle, confirmed by a barrier.

        `edits` may be an iterator that is still being filled; edits are sent as they come. Raises
        SwitchRefused or FlowError: then nothing has changed, unless only the reply to the commit is missing.

        Open vSwitch leaves messages that it cannot read out of the bundle, and would commit the rest.
        Therefore the commit is sent only after a barrier without errors, or if the switch has already read
        messages of the same signatures.

        Gain of the signatures, with 400 ports: without them, adding or removing a rule takes 1.27 times as
        long (`python -m bench --only optimizations`). Switch them off with `SGCTL_WITHOUT=signatures`.
        """
        count = len(edits) if isinstance(edits, Sequence) else MOST_EDITS
        most = self._most_by_signature
        signatures = self._signatures(edits) if isinstance(edits, Sequence) and count <= most else None
        self._bundle += 1
        exchange = self._begin(count * (1 + REQUESTS_OF_METER) + REQUESTS_AROUND)
        unsent = self._filling(exchange, edits)
        try:
            if signatures is None or not signatures <= self._readable:
                self._send(unsent)
                self._send([wire.barrier_request(exchange.ask("the bundle's messages"))])
                exchange.answer()
            self._send(chain(unsent, _commit(exchange, self._bundle)))
            if signatures is None:
                self._on_its_way()
            exchange.answer()
        except BaseException:  # no bundle may stay open, even if this green thread is killed
            self._connection.send(
                wire.bundle_control(self._bundle, wire.BUNDLE_DISCARD, self._connection.reserve(1))
            )
            self._meters.clear()
            raise
        self._readable |= signatures or frozenset()

    def _signatures(self, edits: Sequence[wire.Edit]) -> frozenset[Hashable] | None:
        """The edits' signatures; None if a meter must be created first, because the flow depends on it."""
        new = any(isinstance(edit, Flow) and edit.meter and edit.meter not in self._meters for edit in edits)
        return None if new else frozenset(map(signature, edits))

    def _filling(self, exchange: Exchange, edits: Iterable[wire.Edit]) -> Iterator[bytes]:
        """The messages that open and fill the bundle.

        Bundles cannot contain meter changes: each meter is created just before the first flow that uses it.
        """
        yield wire.bundle_control(self._bundle, wire.BUNDLE_OPEN, exchange.ask("the bundle's opening"))
        for edit in edits:
            if isinstance(edit, Flow) and edit.meter and edit.meter not in self._meters:
                self._meters.add(edit.meter)
                yield from self._meter_mods(exchange, edit.meter, _METER_REQUESTS)
            elif isinstance(edit, wire.DropCounters):
                for meter in edit.meters():
                    yield from self._meter_mods(exchange, meter, _METER_REQUESTS[:1])
            yield wire.bundle_edit(self._bundle, edit, exchange.ask(edit))

    def _meter_mods(
        self, exchange: Exchange, number: int, requests: Iterable[tuple[wire.MeterCommand, int]]
    ) -> Iterator[bytes]:
        """Modify the meter if it exists and add it if not; one of the two requests fails as expected."""
        for command, failure in requests:
            xid = exchange.ask(f"meter {number}", SwitchError(wire.METER_FAILED, failure))
            yield wire.meter_mod(command, number, self._budgets.of_meter(number), xid)

    def role_generation(self) -> int:
        """The generation of the newest master so far; 2⁶⁴ - 1 for none. Raises SwitchRefused."""
        return self._request_role(ControllerRole.NO_CHANGE, 0).generation

    def become_master(self, generation: int) -> None:
        """Become master, so that all other controllers become read-only slaves. Raises SwitchRefused."""
        try:
            self._request_role(ControllerRole.MASTER, generation)
        except SwitchRefused as error:
            raise SwitchRefused(f"another controller is in charge: {error}") from error

    def _request_role(self, role: ControllerRole, generation: int) -> Reply:
        exchange = self._begin(1)
        self._send([messages.role_request(role, generation, exchange.ask(f"the role {role.name}"))])
        return exchange.answer()

    def _begin(self, most: int) -> Exchange:
        """Start an exchange of at most `most` requests; replies to earlier requests are ignored."""
        self._exchange = Exchange(self._connection.reserve(most))
        return self._exchange

    def _send(self, messages: Iterable[bytes]) -> None:
        """Send messages in chunks; waits for room in the send queue, and stops at the first error.

        The switch reads one chunk while the next one is encoded.
        """
        buffer = bytearray()
        for message in messages:
            buffer += message
            if len(buffer) >= CHUNK_BYTES:
                self._send_chunk(buffer)
                runtime.sleep(0)
                self._exchange.check()
                buffer = bytearray()
        self._send_chunk(buffer)

    def _send_chunk(self, data: bytearray) -> None:
        if data and not self._connection.send(bytes(data)):
            raise SwitchRefused("the connection is closing")


def _commit(exchange: Exchange, bundle: int) -> Iterator[bytes]:
    yield wire.bundle_control(bundle, wire.BUNDLE_COMMIT, exchange.ask("the bundle's commit"))
    yield wire.barrier_request(exchange.ask("the bundle's commit"))
