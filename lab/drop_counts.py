"""How many packets a bridge has dropped, by reason."""

from __future__ import annotations

import re
from collections import Counter

from flows import pipeline
from flows.reasons import Reason
from lab.ovs import PrivateOvs

_REASONS = {int(reason): reason for reason in Reason}
_DROPPED = re.compile(
    rf"table_id={pipeline.DROP.id},.*n_packets=(\d+).*{pipeline.REASON.name}=(0x[0-9a-f]+|\d+)"
)


def drop_counts(ovs: PrivateOvs, bridge: str) -> Counter[Reason]:
    """All drops so far. The datapath loses its flows, which report what they counted when they end."""
    ovs.appctl("revalidator/purge")
    found = Counter[Reason]()
    for packets, reason in _DROPPED.findall(ovs.appctl("bridge/dump-flows", bridge)):
        found[_REASONS[int(reason, 0)]] += int(packets)
    return found
