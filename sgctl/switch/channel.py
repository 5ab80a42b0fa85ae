"""Requests and replies on one OpenFlow connection, as calls that wait for their answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain

from flows import wire
from flows.actions import Action
from flows.flow import Flow
from flows.shapes import shape
from sgctl import runtime
from sgctl.switch import messages
from sgctl.switch.connection import Connection
from sgctl.switch.exchange import Exchange, SwitchRefused
from sgctl.switch.messages import Refusal, Reply, Role

CHUNK_BYTES = 1 << 16
MOST_EDITS = 1 << 24
"""In one change: so many transaction ids are set aside while their number is not known."""
_METER_REQUESTS = (
    (wire.MeterCommand.MODIFY, wire.UNKNOWN_METER),
    (wire.MeterCommand.ADD, wire.METER_EXISTS),
)
REQUESTS_OF_METER = len(_METER_REQUESTS)
REQUESTS_AROUND = 4
"""Opening, a question whether all is in, commit, and a barrier."""
FEW_EDITS = 256
"""So many are worth knowing by their shapes; with more, the question whether all were read costs little."""
BUDGET = wire.Budget(rate=128, burst=512)
"""Of a port, for what needs no rule: some 250 ARP requests a second, and 1,000 at once."""
MATCH_FRAGMENTS = 3
"""OFPC_FRAG_NX_MATCH of Open vSwitch: first fragments keep their ports (ovs-ofctl(8), set-frags)."""

NameOf = Callable[[int], str]
"""What the log calls the switch with a datapath id."""


def by_number(dpid: int) -> str:
    """A switch of which nothing but its datapath id is known."""
    return f"{dpid:016x}"


class Channel:
    """Asks one switch, through the connection with it.

    Only one green thread may make calls; `receive` belongs to the one that reads the connection.
    """

    def __init__(
        self,
        connection: Connection,
        on_its_way: Callable[[], None] = lambda: None,
        name_of: NameOf = by_number,
        budget: wire.Budget = BUDGET,
    ) -> None:
        """`on_its_way` is called when all of a large change is sent, and the switch at work on it.

        `name_of` tells what the log calls a switch. `budget` is what the meters of flows let pass.
        """
        self._name_of = name_of
        self._on_its_way = on_its_way
        self._budget = budget
        self._meters: set[int] = set()
        self._connection = connection
        self._exchange = Exchange()
        self._bundle = 0
        self._readable: set[Hashable] = set()

    @property
    def dpid(self) -> int:
        """The switch's datapath id."""
        return self._connection.dpid

    @property
    def name(self) -> str:
        """What the log calls the switch."""
        return self._name_of(self.dpid)

    def receive(self, reply: Reply) -> None:
        """Take in a reply or an error."""
        self._exchange.take(reply)

    def transmit(self, out: Action, frame: bytes) -> None:
        """Let the switch send a frame, if there is room for it on the connection; for any thread."""
        self._connection.offer(messages.packet_out(out.encode(), frame, self._connection.reserve(1)))

    def answers(self, seconds: float) -> bool:
        """Whether the switch gives a sign of life within `seconds`; for any thread."""
        return self._connection.answers(seconds)

    def installed(self) -> list[wire.Installed]:
        """Table and cookie of every flow on the switch; sets the fragment mode on the way.

        Raises SwitchRefused.
        """
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
        """The flows with neither of our tags. Raises SwitchRefused."""
        exchange = self._begin(len(wire.OTHERS_COOKIES))
        self._send(
            messages.flow_stats_request(exchange.ask("a question for flows of others"), cookie, mask)
            for cookie, mask in wire.OTHERS_COOKIES
        )
        exchange.answer()
        return exchange.flows

    def push(self, edits: Iterable[wire.Edit]) -> None:
        """Make a change: all of it at once, confirmed by the switch's barrier.

        The edits may still be coming; what there is goes to the switch meanwhile. Raises SwitchRefused or
        FlowError, and then nothing has changed, unless all that is missing is the answer to the commit.
        Open vSwitch leaves a message that it cannot read out of the bundle and would commit the rest: the
        commit goes out only when the switch has said that everything is in, or has read the like of
        everything before.
        """
        count = len(edits) if isinstance(edits, Sequence) else MOST_EDITS
        shapes = self._shapes(edits) if isinstance(edits, Sequence) and count <= FEW_EDITS else None
        self._bundle += 1
        exchange = self._begin(count * (1 + REQUESTS_OF_METER) + REQUESTS_AROUND)
        unsent = self._filling(exchange, edits)
        try:
            if shapes is None or not shapes <= self._readable:
                self._send(unsent)
                self._send([wire.barrier_request(exchange.ask("the bundle's messages"))])
                exchange.answer()
            self._send(chain(unsent, _commit(exchange, self._bundle)))
            if shapes is None:
                self._on_its_way()
            exchange.answer()
        except BaseException:  # the end of this green thread, too, must not leave a bundle open
            self._connection.send(
                wire.bundle_control(self._bundle, wire.BUNDLE_DISCARD, self._connection.reserve(1))
            )
            self._meters.clear()
            raise
        self._readable |= shapes or frozenset()

    def _shapes(self, edits: Sequence[wire.Edit]) -> frozenset[Hashable] | None:
        """None when a meter has to be made first: whether the switch has it decides about the flow."""
        new = any(isinstance(edit, Flow) and edit.meter and edit.meter not in self._meters for edit in edits)
        return None if new else frozenset(map(shape, edits))

    def _filling(self, exchange: Exchange, edits: Iterable[wire.Edit]) -> Iterator[bytes]:
        """The bundle and its messages. A bundle holds no meters: they are made before a flow uses them."""
        yield wire.bundle_control(self._bundle, wire.BUNDLE_OPEN, exchange.ask("the bundle's opening"))
        for edit in edits:
            if isinstance(edit, Flow) and edit.meter and edit.meter not in self._meters:
                self._meters.add(edit.meter)
                yield from self._meter_mods(exchange, edit.meter, _METER_REQUESTS)
            elif isinstance(edit, wire.DropCounters):
                for ofport in edit.senders():
                    yield from self._meter_mods(exchange, ofport, _METER_REQUESTS[:1])
            yield wire.bundle_edit(self._bundle, edit, exchange.ask(edit))

    def _meter_mods(
        self, exchange: Exchange, number: int, requests: Iterable[tuple[wire.MeterCommand, int]]
    ) -> Iterator[bytes]:
        """Modify what is there and add what is not; the other of the two requests fails."""
        for command, failure in requests:
            xid = exchange.ask(f"meter {number}", Refusal(wire.METER_FAILED, failure))
            yield wire.meter_mod(command, number, self._budget, xid)

    def role_generation(self) -> int:
        """The generation of the newest master there has been; 2⁶⁴ - 1 for none. Raises SwitchRefused."""
        return self._request_role(Role.NO_CHANGE, 0).generation

    def become_master(self, generation: int) -> None:
        """Make all other controllers slaves, which may look but not touch. Raises SwitchRefused."""
        try:
            self._request_role(Role.MASTER, generation)
        except SwitchRefused as error:
            raise SwitchRefused(f"another controller is in charge: {error}") from error

    def _request_role(self, role: Role, generation: int) -> Reply:
        exchange = self._begin(1)
        self._send([messages.role_request(role, generation, exchange.ask(f"the role {role.name}"))])
        return exchange.answer()

    def _begin(self, most: int) -> Exchange:
        """Expect answers to what is asked from now on, at most so many requests, and to nothing before."""
        self._exchange = Exchange(self._connection.reserve(most))
        return self._exchange

    def _send(self, messages: Iterable[bytes]) -> None:
        """Send in chunks, each when there is room for it, and no more of them once there is an error.

        The switch reads one chunk while the next is made.
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
