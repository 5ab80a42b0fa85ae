"""How a flood of one workload slows down another workload on the same switch."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from bench.record import MILLISECONDS, Record
from lab.attack import ATTACKER, OPEN, ROUTER, VICTIM, said
from lab.attack_bench import AttackBench
from lab.attack_policy import DISCARD
from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.site import Site
from lab.varied import COMPARED_WHOLE, FIELDS, sender_of, varied
from lab.workloads import Workloads

_FRAMES = 300
_AT_ONCE, _PAUSE = 100, 0.01
"""10,000 frames a second, or as many as the machine can send."""
_PROBES, _QUICK_PROBES = 300, 100
_STORM_SECONDS, _QUICK_STORM_SECONDS = 5.0, 2.0
_ROUNDS = 5
_SETTLES = 0.3
"""How many seconds a flood runs before anything is measured."""
_FORGED = ("eth_src", "arp_spa", "arp_tpa", "nd_sll", "ipv6_src", "hop limit of a solicitation")
"""The fields that the flood varies, one after the other; the worst counts."""


def measure(record: Record) -> None:
    """Measure megaflows, other workloads' latency under floods, and how much of a storm arrives."""
    with PrivateOvs() as ovs, Controller(ovs.remote) as controller:
        site = Site(ovs, Workloads(ovs), controller)
        with AttackBench(site) as bench:
            worst = max(bench.megaflows(sender_of(name), varied(name, _FRAMES)) for name in FIELDS)
            record.put("megaflows_worst", worst)
            for name in COMPARED_WHOLE:
                count = bench.megaflows(sender_of(name), varied(name, _FRAMES))
                record.note(f"megaflows when {name} varies {_FRAMES} times: {count}")
            _latencies(bench, record)
            _storm(bench, record)


def _latencies(bench: AttackBench, record: Record) -> None:
    probes = _QUICK_PROBES if record.quick else _PROBES
    record.put("flood_none", _p95(bench, (), probes))
    for row, names in (("flood_varied", _FORGED), ("flood_whole", tuple(COMPARED_WHOLE))):
        ratios = {name: _ratio(bench, varied(name, 10 * _FRAMES), probes) for name in names}
        record.put(row, max(ratios.values()))
        listed = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        record.note(f"what a flood that varies costs others, to one that does not: {listed}")


def _ratio(bench: AttackBench, frames: Sequence[bytes], probes: int) -> float:
    """The others' p95 while these frames come, to that while only the first comes: the median of rounds."""
    return statistics.median(
        _p95(bench, frames, probes) / _p95(bench, frames[:1], probes) for _ in range(_ROUNDS)
    )


def _p95(bench: AttackBench, frames: Sequence[bytes], probes: int) -> float:
    """Milliseconds from the router to another workload during the flood, with a new connection each time."""
    with _flood(bench, frames):
        time.sleep(_SETTLES)
        seconds = []
        for number in range(probes):
            send = said(ROUTER, _probe(number), OPEN)
            start = time.perf_counter()
            bench.achieve([send])
            seconds.append(time.perf_counter() - start)
    return statistics.quantiles(seconds, n=20)[-1] * MILLISECONDS


def _probe(number: int) -> Ether:
    datagram = UDP(sport=1024 + number, dport=DISCARD) / Raw(b"%8d" % number)
    return Ether(src=ROUTER.mac, dst=OPEN.mac) / IP(src=ROUTER.ip, dst=OPEN.ip) / datagram


def _storm(bench: AttackBench, record: Record) -> None:
    """How many of a workload's broadcast announcements of its own address another port gets per second."""
    seconds = _QUICK_STORM_SECONDS if record.quick else _STORM_SECONDS
    own = {"hwsrc": ATTACKER.mac, "psrc": ATTACKER.ip, "pdst": ATTACKER.ip}
    announcement = bytes(Ether(src=ATTACKER.mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, **own))
    with _flood(bench, [announcement]):
        time.sleep(seconds)  # the burst is over
        before = bench.received(VICTIM, announcement)
        time.sleep(seconds)
        after = bench.received(VICTIM, announcement)
    record.put("storm_received", (after - before) / seconds)


@contextmanager
def _flood(bench: AttackBench, frames: Sequence[bytes]) -> Iterator[None]:
    """The attacker sends these frames repeatedly during the `with` block."""
    over = threading.Event()

    def send() -> None:
        place = 0
        while frames and not over.wait(_PAUSE):
            chosen = [frames[(place + step) % len(frames)] for step in range(_AT_ONCE)]
            bench.send(ATTACKER, chosen)
            place += _AT_ONCE

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
