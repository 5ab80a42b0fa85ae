"""Requests and replies on one OpenFlow connection, as calls that wait for their answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eventlet import Timeout
from eventlet.event import Event

from flows import wire
from sgctl.switch.raw_stats import InstalledEntry

REPLY_SECONDS = 60.0
CHUNK_BYTES = 1 << 16
MATCH_FRAGMENTS = 3
"""OFPC_FRAG_NX_MATCH of Open vSwitch: first fragments keep their ports (ovs-ofctl(8), set-frags)."""


class SwitchRefused(Exception):
    """The switch answered with an error, or not at all; the text says to what."""


class Channel:
    """Speaks through one datapath of Ryu's.

    Only one green thread may make calls; `receive` belongs to the one that reads the connection.
    """

    def __init__(self, datapath: Any) -> None:
        self._datapath = datapath
        self._answers: dict[int, Event] = {}
        self._entries: list[InstalledEntry] = []
        self._errors: dict[int, str] = {}
        self._bundle = 0

    def serves(self, datapath: Any) -> bool:
        """Whether this is the channel of that very connection."""
        return self._datapath is datapath

    @property
    def dpid(self) -> int:
        """The switch's datapath id."""
        return int(self._datapath.id)

    def receive(self, message: Any) -> None:
        """Take in a reply or an error; what nobody waits for is dropped."""
        ofproto = self._datapath.ofproto
        if message.msg_type == ofproto.OFPT_ERROR:
            kind = ofproto.ofp_error_type_to_str(message.type)
            code = ofproto.ofp_error_code_to_str(message.type, message.code)
            self._errors.setdefault(message.xid, f"{kind}, {code}")
        elif message.msg_type == ofproto.OFPT_MULTIPART_REPLY:
            self._entries.extend(message.body)
            if message.flags & ofproto.OFPMPF_REPLY_MORE:
                return
        answer = self._answers.pop(message.xid, None)
        if answer is not None:
            answer.send(message)

    def installed(self) -> list[wire.Installed]:
        """Table and cookie of every flow on the switch; sets the fragment mode on the way.

        Raises SwitchRefused.
        """
        self._entries = []
        parser, ofproto = self._datapath.ofproto_parser, self._datapath.ofproto
        self._datapath.send_msg(
            parser.OFPSetConfig(self._datapath, MATCH_FRAGMENTS, ofproto.OFPCML_NO_BUFFER)
        )
        request = parser.OFPFlowStatsRequest(self._datapath)
        answer = self._expect(self._datapath.set_xid(request))
        self._datapath.send_msg(request)
        self._await(answer, "flow statistics request")
        return [entry.flow for entry in self._entries]

    def push(self, edits: Sequence[wire.Edit]) -> None:
        """Make a change: all of it at once, confirmed by the switch's barrier.

        Raises SwitchRefused, and then nothing has changed.
        """
        self._errors.clear()
        self._bundle += 1
        first, last = self._reserve(len(edits) + 3)
        answer = self._expect(last)
        buffer = bytearray()
        for message in _bundle_messages(self._bundle, edits, first):
            buffer += message
            if len(buffer) >= CHUNK_BYTES:
                self._send(buffer)
                buffer = bytearray()
        self._send(buffer)
        self._await(answer, f"bundle of {len(edits)} changes")
        self._raise_errors(edits, first)

    def role_generation(self) -> int:
        """The generation of the newest master there has been; 2⁶⁴ - 1 for none. Raises SwitchRefused."""
        return int(self._role_request(self._datapath.ofproto.OFPCR_ROLE_NOCHANGE, 0).generation_id)

    def become_master(self, generation: int) -> None:
        """Make all other controllers slaves, which may look but not touch. Raises SwitchRefused."""
        self._role_request(self._datapath.ofproto.OFPCR_ROLE_MASTER, generation)

    def _role_request(self, role: int, generation: int) -> Any:
        request = self._datapath.ofproto_parser.OFPRoleRequest(self._datapath, role, generation)
        xid = self._datapath.set_xid(request)
        answer = self._expect(xid)
        self._datapath.send_msg(request)
        reply = self._await(answer, "role request")
        if xid in self._errors:
            raise SwitchRefused(f"{self._errors.pop(xid)}: another controller is in charge")
        return reply

    def _reserve(self, count: int) -> tuple[int, int]:
        """Transaction ids that follow each other: the first and the last of `count`."""
        highest = self._datapath.ofproto.MAX_XID
        first = self._datapath.xid + 1
        if first + count > highest:
            first = 1
        self._datapath.xid = first + count - 1
        return first, first + count - 1

    def _send(self, data: bytearray) -> None:
        if data and not self._datapath.send(bytes(data)):
            raise SwitchRefused("the connection is closing")

    def _expect(self, xid: int) -> Event:
        return self._answers.setdefault(xid, Event())

    def _await(self, answer: Event, what: str) -> Any:
        with Timeout(REPLY_SECONDS, False):
            return answer.wait()
        raise SwitchRefused(f"no answer to a {what} within {REPLY_SECONDS:.0f} s")

    def _raise_errors(self, edits: Sequence[wire.Edit], first: int) -> None:
        for xid, text in sorted(self._errors.items()):
            position = xid - first - 1
            culprit = edits[position] if 0 <= position < len(edits) else "bundle control"
            raise SwitchRefused(f"{text}: {culprit}")


def _bundle_messages(bundle: int, edits: Sequence[wire.Edit], first: int) -> Iterator[bytes]:
    yield wire.bundle_control(bundle, wire.BUNDLE_OPEN, first)
    for xid, edit in enumerate(edits, first + 1):
        yield wire.bundle_add(bundle, wire.encode(edit), xid)
    commit = first + len(edits) + 1
    yield wire.bundle_control(bundle, wire.BUNDLE_COMMIT, commit)
    yield wire.barrier_request(commit + 1)
