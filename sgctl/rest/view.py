"""The policy and the reports of switches, as one request sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sgctl.store.host_status import HostStatus
from sgctl.store.snapshot import PolicySnapshot


class View(NamedTuple):
    """What one request reads. `quotas` are those of the projects that have their own."""

    policy: PolicySnapshot
    status: HostStatus
    quotas: Mapping[str, Mapping[str, int]]
