"""How long an admin's revocation takes while members and readers keep the API busy (`bench.crowd`)."""

from __future__ import annotations

import http.client
import json
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from bench import crowd
from bench.installation import BRIDGE, Installation
from bench.record import MILLISECONDS, Record
from bench.workload import BenchWorkload, identifier, interface, local_port
from flows.policy.objects import Change, Meta, Port
from lab.process import LabError

_ADMIN = "the-admins-own-token"
_PORT = 81
_BETWEEN = 0.05
_BEGIN_SECONDS = 3.0
"""The wait until all members and readers have started, in seconds."""
_PATIENCE = 60.0
_OF_A_MEMBER = 400
"""How many ports a member has; one of them is on the bridge."""


def measure(record: Record) -> None:
    """Time from an admin's request to delete a rule until its flow is gone; alternately idle and loaded."""
    rounds, idle, loaded = (2, 10, 30) if record.quick else (5, 20, 80)
    before: list[float] = []
    during: list[float] = []
    written: list[float] = []
    with Installation(options=_options()) as here:
        here.connect()
        members = _populate(here)
        with _Switch(here) as switch:
            admin = _Admin(here.controller.wsapi_port, switch)
            for _ in range(rounds):
                before += [admin.revoke() for _ in range(idle)]
                with _busy(here, members):
                    start, first = time.perf_counter(), admin.numbers
                    during += [admin.revoke() for _ in range(loaded)]
                    written.append((admin.numbers - first - loaded) / (time.perf_counter() - start))
    _put(record, before, during)
    record.put("busy_written", statistics.mean(written))


def _put(record: Record, before: list[float], during: list[float]) -> None:
    record.median_ms("busy_idle", before)
    record.median_ms("busy_median", during)
    record.put("busy_p99", sorted(during)[int(len(during) * 0.99)] * MILLISECONDS)
    record.put("busy_ratio", statistics.median(during) / statistics.median(before))


def _options() -> list[str]:
    return [f"--sgctl-api-tokens={_token_file()}", "--sgctl-api-rate=0"]


def _token_file() -> Path:
    lines = [f"- {{token: {_ADMIN}, project: ops, role: admin}}"]
    for number in range(crowd.MEMBERS):
        for role in ("member", "reader"):
            project = crowd.project(number)
            lines.append(f"- {{token: {crowd.token(number, role)}, project: {project}, role: {role}}}")
    path = Path(tempfile.mkdtemp()) / "tokens.yaml"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _populate(here: Installation) -> list[str]:
    """Commit W(400, 1000) without a project, and the members' ports; return the ids that they change."""
    names = [interface(number) for number in range(1, 401)]
    members = [_port(member, 0) for member in range(crowd.MEMBERS)]
    here.plug([*names, *(port.iface_id for port in members)])
    here.commit(BenchWorkload(400, 1000).additions())
    others = [_port(member, n) for member in range(crowd.MEMBERS) for n in range(1, _OF_A_MEMBER)]
    here.commit([Change(None, port) for port in (*members, *others)])
    return [port.id for port in members]


def _port(member: int, number: int) -> Port:
    port = local_port(10_000 + member * 1000 + number)
    return replace(port, security_groups=frozenset(), meta=Meta(project_id=crowd.project(member)))


class _Switch:
    """Watches changes of the switch's flows with `ovs-ofctl monitor`."""

    def __init__(self, here: Installation) -> None:
        self._process = subprocess.Popen(
            ["ovs-ofctl", "monitor", BRIDGE, f"watch:!initial,tcp,tp_dst={_PORT}"],
            stderr=subprocess.PIPE,
            env=here.ovs.env,
        )
        self._seen: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def _watch(self) -> None:
        assert self._process.stderr is not None
        wanted = b"tp_dst=%d " % _PORT
        for line in self._process.stderr:
            if wanted in line or wanted.replace(b" ", b",") in line:
                self._seen.put((time.perf_counter(), line))

    def wait(self, event: bytes) -> float:
        """The time at which the rule's flow was added (`ADDED`) or removed (`DELETED`)."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            at, line = self._seen.get(timeout=max(0.1, deadline - time.monotonic()))
            if b"event=" + event in line:
                return at


class _Admin:
    def __init__(self, port: int, switch: _Switch) -> None:
        self._port = port
        self._switch = switch
        self.numbers = 0
        """How many rules all users have made so far."""

    def revoke(self) -> float:
        """Seconds from the request until the rule's flow is gone from the switch."""
        rule = {"security_group_id": identifier("sg"), "direction": "ingress", "protocol": "tcp"}
        made = self._call(
            "POST",
            "/v2.0/security-group-rules",
            {"security_group_rule": {**rule, "port_range_min": _PORT, "port_range_max": _PORT}},
        )
        self.numbers = made["security_group_rule"]["number"]
        self._switch.wait(b"ADDED")
        time.sleep(_BETWEEN)
        start = time.perf_counter()
        self._call("DELETE", f"/v2.0/security-group-rules/{made['security_group_rule']['id']}")
        return self._switch.wait(b"DELETED") - start

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        try:
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, {"X-Auth-Token": _ADMIN})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise LabError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content) if content else None


@contextmanager
def _busy(here: Installation, ports: list[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.crowd", str(here.controller.wsapi_port), *ports]
    process = subprocess.Popen(command)
    try:
        time.sleep(_BEGIN_SECONDS)
        yield
    finally:
        process.kill()
        process.wait()
