"""How long the API takes to answer while peers speak broken OpenFlow to the controller.

The peers, the API client and the controller share the machine; the API's time without peers is measured as
well.
"""

from __future__ import annotations

import time
from random import Random

from bench.record import MILLISECONDS, Record
from lab.controller import Controller
from lab.fuzz_openflow import ERROR, PORT_STATUS, STRANGER, FakeSwitch, Impatient, memory_mib
from lab.ovs import PrivateOvs
from lab.process import LabError

_CONNECTIONS, _QUICK_CONNECTIONS = 2000, 400
_REPEATED = 20_000
_QUIET_SECONDS = 5.0


def measure(record: Record) -> None:
    """100,000 malformed messages, and floods of small ones that are well formed."""
    random = Random(5)  # noqa: S311 - the same messages every time
    with PrivateOvs(dummy=True) as switch, Controller(switch.remote) as controller:
        with Impatient(controller.wsapi_port):  # the first answer takes longer
            for number in range(100):
                _nonsense(controller, random, number)
        with Impatient(controller.wsapi_port) as alone:
            time.sleep(_QUIET_SECONDS)
        before = memory_mib(controller.pid)
        with Impatient(controller.wsapi_port) as impatient:
            for number in range(_QUICK_CONNECTIONS if record.quick else _CONNECTIONS):
                _nonsense(controller, random, number)
            for kind, body in ((PORT_STATUS, b""), (ERROR, bytes(4))):
                with FakeSwitch(controller.openflow_port, random, STRANGER) as peer:
                    peer.repeat(kind, body, _REPEATED)
        record.put("api_fuzzed_memory", memory_mib(controller.pid) - before)
    if alone.errors or impatient.errors:
        raise LabError(f"the API did not answer: {alone.errors or impatient.errors}")
    record.put("api_quiet", max(alone.waited) * MILLISECONDS)
    record.put("api_fuzzed", max(impatient.waited) * MILLISECONDS)
    ordered = sorted(impatient.waited)
    record.put("api_fuzzed_p99", ordered[int(len(ordered) * 0.99)] * MILLISECONDS)
    record.samples["API under a fuzzed OpenFlow port/ours"] = [
        value * MILLISECONDS for value in impatient.waited[:1000]
    ]


def _nonsense(controller: Controller, random: Random, number: int) -> None:
    """Send `MESSAGES` malformed messages on one connection."""
    with FakeSwitch(controller.openflow_port, random, STRANGER + number % 3) as peer:
        peer.run()
