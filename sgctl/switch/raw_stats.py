"""Flow statistics without their matches and actions: all that reconciliation needs, at full speed.

Ryu would parse every match and action of every flow, and does not know all the fields we use.
"""

from __future__ import annotations

from typing import Any

from ryu.ofproto import ofproto_v1_4_parser

from flows.wire import Installed, installed_flow


class InstalledEntry:
    """Takes the place of Ryu's parsed flow statistics entry; `length` is in bytes."""

    def __init__(self, length: int, flow: Installed) -> None:
        self.length = length
        self.flow = flow

    @classmethod
    def parser(cls, buffer: Any, offset: int) -> InstalledEntry:
        """Read the entry that starts at `offset`. Raises ValueError when it is cut short."""
        return cls(*installed_flow(buffer, offset))


def install() -> None:
    """Make Ryu read flow statistics this way, for every connection of the process."""
    ofproto_v1_4_parser.OFPFlowStatsReply.cls_stats_body_cls = InstalledEntry
