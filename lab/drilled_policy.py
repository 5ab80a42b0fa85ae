"""The policy of fault drills: a writer edits it all the time, and the switches must follow."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

from flows.policy.objects import Change, Direction, Ethertype, Rule, SecurityGroup
from lab.background_traffic import Datagrams
from lab.process import LabError
from lab.site import ALL_OUT, group, tcp_in
from sgctl.store import Conflict, Store, StoreError

ALLOWED, FOREIGN, CLOSED, TOGGLED = 6000, 6001, 6002, 6003
"""UDP ports: allowed from `client`; the same, tried from another group; denied; allowed some of the time."""
_CONVERGE_SECONDS = 30.0
_OBEY_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
_NOISE = range(20000, 60000)


def drilled_groups() -> list[dict[str, object]]:
    """Documents of the groups: `client` may use `server`, `other` may not; the writer fills `noise`."""
    udp = {"direction": "ingress", "protocol": "udp"}
    return [
        group("client", ALL_OUT),
        group("other", ALL_OUT),
        group("noise"),
        group(
            "server",
            tcp_in(80, remote_group="client"),
            {**udp, "ports": f"{ALLOWED}-{FOREIGN}", "remote_group": "client"},
            {**udp, "ports": TOGGLED},
        ),
    ]


class Writer:
    """Edits the policy continuously in a thread, and remembers which rules the database acknowledged.

    It opens and closes TOGGLED on request; every other edit adds a rule that matches no traffic.
    """

    def __init__(self, remote: str) -> None:
        self._store = Store.connect(remote)
        self._group = self._find_group("server")
        self._noise_group = self._find_group("noise")
        self._ports = iter(_NOISE)
        self._ends = threading.Event()
        self.acknowledged: dict[str, Rule] = {}
        self.refused = 0
        self.wanted = True
        self.state = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop editing; a second call does nothing."""
        if self._ends.is_set():
            return
        self._ends.set()
        self._thread.join()
        self._store.close()

    def lost_writes(self, remote: str) -> set[str]:
        """The acknowledged rules that are missing in the database."""
        store = Store.connect(remote)
        try:
            return self.acknowledged.keys() - store.objects[Rule].keys()
        finally:
            store.close()

    def _find_group(self, name: str) -> str:
        groups = self._store.objects[SecurityGroup].values()
        return next(each.id for each in groups if each.name == name)

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                self._edit()
            except Conflict:
                self.refused += 1
            except StoreError:
                self.refused += 1
                self._store.run()
            self._ends.wait(_PAUSE_SECONDS)

    def _edit(self) -> None:
        self._store.run()
        if self.state != self.wanted:
            self._toggle(self.wanted)
            return
        rule = _rule(self._noise_group, Direction.INGRESS, next(self._ports))
        self._store.commit([Change(None, rule)])
        self.acknowledged[rule.id] = rule

    def _toggle(self, wanted: bool) -> None:
        rules = self._store.objects[Rule].values()
        held = [r for r in rules if r.group_id == self._group and r.port_range_min == TOGGLED]
        if wanted and not held:
            self._store.commit([Change(None, _rule(self._group, Direction.INGRESS, TOGGLED))])
        elif not wanted and held:
            self._store.commit([Change(rule, None) for rule in held])
        self.state = wanted


def _rule(group_id: str, direction: Direction, port: int) -> Rule:
    identifier = str(uuid4())
    return Rule(identifier, 0, group_id, direction, Ethertype.IPV4, 17, port, port)


def have_generation(store: Store, generation: int, switches: int) -> bool:
    """Whether so many switches are connected and have the generation; waits for at most a second."""
    lagging = store.wait_applied(generation, 1.0)
    current = [each for each in store.switches.values() if each.connected and each.generation >= generation]
    return not lagging and len(current) == switches


def converge(store: Store, writer: Writer, switches: int = 1) -> None:
    """Wait until the switches are reported to have everything that was acknowledged so far."""
    deadline = time.monotonic() + _CONVERGE_SECONDS
    while time.monotonic() < deadline:
        try:  # reports from before the commit do not count
            if have_generation(store, store.commit(()), switches) and writer.state == writer.wanted:
                return
        except StoreError:
            continue
    raise LabError(f"not up to date again after {_CONVERGE_SECONDS:g} s")


def obeys(toggled: Datagrams, writer: Writer) -> bool:
    """Whether datagrams to TOGGLED arrive exactly while the rule allows it; waits for slow machines.

    The datapath updates its megaflows some time after the switch has confirmed a change.
    """
    deadline = time.monotonic() + _OBEY_SECONDS
    while True:
        before = toggled.arrived
        time.sleep(0.3)
        if (toggled.arrived > before) == writer.state:
            return True
        if time.monotonic() > deadline:
            return False
