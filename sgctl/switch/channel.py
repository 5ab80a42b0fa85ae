"""Requests and replies on one OpenFlow connection, as calls that wait for their answer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from ryu.lib import hub

from flows import wire
from flows.shapes import shape
from sgctl.switch.exchange import Exchange, SwitchRefused

CHUNK_BYTES = 1 << 16
FEW_EDITS = 256
"""So many are worth knowing by their shapes; with more, the question whether all were read costs little."""
MATCH_FRAGMENTS = 3
"""OFPC_FRAG_NX_MATCH of Open vSwitch: first fragments keep their ports (ovs-ofctl(8), set-frags)."""


class Channel:
    """Speaks through one datapath of Ryu's.

    Only one green thread may make calls; `receive` belongs to the one that reads the connection.
    """

    def __init__(self, datapath: Any) -> None:
        self._datapath = datapath
        self._exchange = Exchange()
        self._bundle = 0
        self._readable: set[Hashable] = set()

    def serves(self, datapath: Any) -> bool:
        """Whether this is the channel of that very connection."""
        return self._datapath is datapath

    @property
    def dpid(self) -> int:
        """The switch's datapath id."""
        return int(self._datapath.id)

    def receive(self, message: Any) -> None:
        """Take in a reply or an error."""
        self._exchange.take(message, self._datapath.ofproto)

    def installed(self) -> list[wire.Installed]:
        """Table and cookie of every flow on the switch; sets the fragment mode on the way.

        Raises SwitchRefused.
        """
        parser, ofproto = self._datapath.ofproto_parser, self._datapath.ofproto
        mode = parser.OFPSetConfig(self._datapath, MATCH_FRAGMENTS, ofproto.OFPCML_NO_BUFFER)
        self._ask(mode, parser.OFPFlowStatsRequest(self._datapath))
        return [entry.flow for entry in self._exchange.entries]

    def push(self, edits: Sequence[wire.Edit]) -> None:
        """Make a change: all of it at once, confirmed by the switch's barrier.

        Raises SwitchRefused or FlowError, and then nothing has changed, unless all that is missing is the
        answer to the commit. Open vSwitch leaves a message that it cannot read out of the bundle and would
        commit the rest: the commit goes out only when the switch has said that everything is in, or has read
        the like of everything before.
        """
        shapes = frozenset(map(shape, edits)) if len(edits) <= FEW_EDITS else None
        self._bundle += 1
        bundle, commit = self._bundle, len(edits) + 2
        ends = ["the bundle's messages", "the bundle's commit", "the bundle's commit"]
        first = self._begin(["the bundle's opening", *edits, *ends])
        unsent = _filling(bundle, edits, first)
        try:
            if shapes is None or not shapes <= self._readable:
                self._send(chain(unsent, [wire.barrier_request(first + commit - 1)]))
                self._exchange.answer(commit - 1)
            self._send(chain(unsent, _commit(bundle, first + commit)))
            self._exchange.answer(commit + 1)
        except BaseException:  # the end of this green thread, too, must not leave a bundle open
            self._datapath.send(wire.bundle_control(bundle, wire.BUNDLE_DISCARD, self._reserve(1)))
            raise
        self._readable |= shapes or frozenset()

    def role_generation(self) -> int:
        """The generation of the newest master there has been; 2⁶⁴ - 1 for none. Raises SwitchRefused."""
        return int(self._role_request(self._datapath.ofproto.OFPCR_ROLE_NOCHANGE, 0).generation_id)

    def become_master(self, generation: int) -> None:
        """Make all other controllers slaves, which may look but not touch. Raises SwitchRefused."""
        try:
            self._role_request(self._datapath.ofproto.OFPCR_ROLE_MASTER, generation)
        except SwitchRefused as error:
            raise SwitchRefused(f"another controller is in charge: {error}") from error

    def _role_request(self, role: int, generation: int) -> Any:
        return self._ask(self._datapath.ofproto_parser.OFPRoleRequest(self._datapath, role, generation))

    def _ask(self, *messages: Any) -> Any:
        """The reply to the last of these messages of Ryu's. Raises SwitchRefused for an error to any."""
        first = self._begin([type(message).__name__ for message in messages])
        for xid, message in enumerate(messages, first):
            message.set_xid(xid)
            message.serialize()
        self._send(message.buf for message in messages)
        return self._exchange.answer(len(messages) - 1)

    def _begin(self, subjects: Sequence[object]) -> int:
        """Expect answers to so many requests from now on; the transaction id of the first."""
        first = self._reserve(len(subjects))
        self._exchange = Exchange(first, subjects)
        return first

    def _reserve(self, count: int) -> int:
        """Transaction ids that follow each other: the first of `count`."""
        first: int = self._datapath.xid + 1
        if first + count > self._datapath.ofproto.MAX_XID:
            first = 1
        self._datapath.xid = first + count - 1
        return first

    def _send(self, messages: Iterable[bytes]) -> None:
        """Send in chunks, each when there is room for it, and no more of them once there is an error.

        The switch reads one chunk while the next is made.
        """
        buffer = bytearray()
        for message in messages:
            buffer += message
            if len(buffer) >= CHUNK_BYTES:
                self._send_chunk(buffer)
                hub.sleep(0)
                self._exchange.check()
                buffer = bytearray()
        self._send_chunk(buffer)

    def _send_chunk(self, data: bytearray) -> None:
        if data and not self._datapath.send(bytes(data)):
            raise SwitchRefused("the connection is closing")


def _filling(bundle: int, edits: Sequence[wire.Edit], first: int) -> Iterator[bytes]:
    yield wire.bundle_control(bundle, wire.BUNDLE_OPEN, first)
    for xid, edit in enumerate(edits, first + 1):
        yield wire.bundle_edit(bundle, edit, xid)


def _commit(bundle: int, first: int) -> Iterator[bytes]:
    yield wire.bundle_control(bundle, wire.BUNDLE_COMMIT, first)
    yield wire.barrier_request(first + 1)
