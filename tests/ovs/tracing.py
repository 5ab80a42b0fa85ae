"""Parses `ofproto/trace`: where a packet goes, which rule allowed it, why it was dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flows.openflow import pipeline as p
from flows.openflow import registers as r
from flows.openflow.reasons import Reason

_TABLE = re.compile(r"^ *(\d+)\. ")
_RULE = re.compile(rf"set_field:(0x[0-9a-f]+|\d+)->{r.VERDICT.name}\b")
_DROPPED = re.compile(rf"^ *{p.DROP.id}\. {r.REASON.name}=(0x[0-9a-f]+),")
_ACTIONS = re.compile(r"^Datapath actions: (.*)$", re.MULTILINE)
_NESTED = re.compile(r"\w+\([^()]*(?:\([^()]*\)[^()]*)*\)")
_REASONS = {int(reason): reason for reason in Reason}
_MEGAFLOW = re.compile(r"^Megaflow: (.*)$", re.MULTILINE)
_NEIGHBOUR = re.compile(r"\bnd_(target|sll|tll)=")
_KIND_OR_CODE = re.compile(r"\bicmp_(type|code)=(0x[0-9a-f]+)/(0x[0-9a-f]+)")
_TAG = re.compile(r"push_vlan\(vid=(\d+)")


@dataclass(frozen=True)
class Trace:
    """The fate of one packet. Rules are numbers, 0 if none was checked or found."""

    text: str
    outputs: frozenset[str]
    tag: int | None
    reason: Reason | None
    sender_rule: int
    receiver_rule: int

    @classmethod
    def read(cls, text: str) -> Trace:
        """Raises ValueError when the trace ended in an error of the switch."""
        if "Translation failed" in text:
            raise ValueError(text)
        actions = ",".join(_ACTIONS.findall(text))
        words = _NESTED.sub("", actions).split(",")
        tag = _TAG.search(actions)
        sender, receiver, reason = _walk(text)
        outputs = frozenset(words) - {"", "drop", "pop_vlan"}
        return cls(text, outputs, int(tag[1]) if tag else None, reason, sender, receiver)

    @property
    def megaflows(self) -> list[str]:
        """What the datapath would remember: one entry for each time that the packet passes it."""
        return _MEGAFLOW.findall(self.text)

    @property
    def lost_neighbour_fields(self) -> list[str]:
        """Megaflows that ask for fields of neighbour discovery which the kernel would not compare."""
        return [
            megaflow
            for megaflow in self.megaflows
            if _NEIGHBOUR.search(megaflow) and _fits_neighbours_inexactly(megaflow)
        ]


def _fits_neighbours_inexactly(megaflow: str) -> bool:
    said = {name: (int(value, 0), int(mask, 0)) for name, value, mask in _KIND_OR_CODE.findall(megaflow)}
    (kind, kind_mask), (code, code_mask) = said.get("type", (0, 0)), said.get("code", (0, 0))
    fits = code == 0 and any(kind == each & kind_mask for each in (135, 136))
    return fits and (kind_mask, code_mask) != (0xFF, 0xFF)


_SIDES = {p.SOURCE_CHECK.id: 0, p.SOURCE_STATELESS.id: 0, p.DEST_CHECK.id: 1, p.DEST_STATELESS.id: 1}


def _walk(text: str) -> tuple[int, int, Reason | None]:
    """The last rule found at either side, and the drop reason."""
    found, side, reason = [0, 0], 0, None
    for line in text.splitlines():
        if table := _TABLE.match(line):
            side = _SIDES.get(int(table[1]), side)
            if dropped := _DROPPED.match(line):
                reason = _REASONS[int(dropped[1], 16)]
        elif rule := _RULE.search(line):
            found[side] = int(rule[1], 0)
    return found[0], found[1], reason
