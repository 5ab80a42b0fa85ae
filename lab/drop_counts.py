"""How many packets a bridge has dropped, by reason."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from flows.openflow import pipeline
from flows.openflow import registers as r
from flows.openflow.reasons import Reason
from lab.ovs import PrivateOvs
from lab.process import wait_until

_REASONS = {int(reason): reason for reason in Reason}
_DROPPED = re.compile(rf"table_id={pipeline.DROP.id},.*n_packets=(\d+).*{r.REASON.name}=(0x[0-9a-f]+|\d+)")


def drop_counts(ovs: PrivateOvs, bridge: str) -> Counter[Reason]:
    """All drops so far. Removes all datapath flows, since a flow reports its last counts when it ends."""
    _let_handlers_finish(ovs)
    ovs.appctl("revalidator/purge")
    found = Counter[Reason]()
    for packets, reason in _DROPPED.findall(ovs.appctl("bridge/dump-flows", bridge)):
        found[_REASONS[int(reason, 0)]] += int(packets)
    return found


def _let_handlers_finish(ovs: PrivateOvs) -> None:
    """Wait until no handler of ovs-vswitchd processes a packet of the kernel datapath.

    Open vSwitch 3.1 aborts ("Invalid ukey transition") when a flow is purged while a handler is discarding
    it. A frame can arrive before its handler has finished.
    """
    threads = [
        thread
        for thread in Path(f"/proc/{ovs.switch_pid}/task").iterdir()
        if (thread / "comm").read_text(encoding="ascii").startswith("handler")
    ]
    wait_until(lambda: all(map(_sleeps, threads)), "handlers finish")


def _sleeps(thread: Path) -> bool:
    """Whether a thread is sleeping, by proc_pid_stat(5)."""
    return (thread / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "S"
