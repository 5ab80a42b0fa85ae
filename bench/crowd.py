"""Members and readers who keep the API busy, as a separate process: `python -m bench.crowd PORT`.

Each of six members repeats: make a group, fill it with as many rules as requests and the quota allow, add it
to a port, remove it from the port, delete it. Each of twenty readers repeatedly gets everything that it may
see, and the OpenAPI document.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

MEMBERS, READERS = 6, 20
RULES, AT_ONCE = 900, 100
"""How many rules a group gets, and how many one request creates; both are the maximum."""
_PATHS = ("/v2.0/ports", "/openapi.json", "/v2.0/security-group-rules", "/v2.0/security-groups")
_PAUSE_SECONDS = 0.2
"""The pause after a refusal, as in any client."""


def project(number: int) -> str:
    """The project of a member."""
    return f"tenant-{number}"


def token(number: int, role: str) -> str:
    """The token for a role in a project."""
    return f"{role}-of-tenant-{number}"


class _Client:
    def __init__(self, port: int, secret: str) -> None:
        self._port = port
        self._secret = secret

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        try:
            connection.request(
                method,
                path,
                body if isinstance(body, bytes | None) else json.dumps(body).encode(),
                {"X-Auth-Token": self._secret},
            )
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def insist(self, method: str, path: str, body: Any = None) -> bytes:
        """Repeat the request until it is accepted; returns the body."""
        while True:
            status, content = self(method, path, body)
            if status < 300:
                return content
            print(method, path, status, content[:200], file=sys.stderr, flush=True)
            time.sleep(_PAUSE_SECONDS)


def _rules(first: int) -> bytes:
    rule = {"security_group_id": "GROUP", "direction": "ingress", "protocol": "tcp"}
    rules = [{**rule, "port_range_min": n, "port_range_max": n} for n in range(first, first + AT_ONCE)]
    return json.dumps({"security_group_rules": rules}).encode()


def _clean_up(client: _Client, port: str) -> None:
    """Delete the groups that an earlier crowd left when it was killed: they would use up the quota."""
    client.insist("PUT", f"/v2.0/ports/{port}", {"port": {"security_groups": []}})
    groups = json.loads(client.insist("GET", "/v2.0/security-groups?name=many"))["security_groups"]
    for group in groups:
        client.insist("DELETE", f"/v2.0/security-groups/{group['id']}")


def _write(client: _Client, port: str) -> None:
    _clean_up(client, port)
    requests = [_rules(first) for first in range(10_000, 10_000 + RULES, AT_ONCE)]
    while True:
        made = json.loads(
            client.insist("POST", "/v2.0/security-groups", {"security_group": {"name": "many"}})
        )
        group = made["security_group"]["id"]
        for rules in requests:
            client.insist("POST", "/v2.0/security-group-rules", rules.replace(b"GROUP", group.encode()))
        for groups in ([group], []):
            client.insist("PUT", f"/v2.0/ports/{port}", {"port": {"security_groups": groups}})
        client.insist("DELETE", f"/v2.0/security-groups/{group}")


def _read(client: _Client) -> None:
    for path in cycle(_PATHS):
        client("GET", path)


def _yield_processors() -> None:
    """Take only time that nobody else wants: this process represents other machines.

    With autogroups, a niceness counts within a session only, and sessions have one of their own (sched(7)).
    """
    os.setsid()
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


def main() -> None:
    """Run until killed; the arguments are the API's TCP port and the ids of the members' ports."""
    _yield_processors()
    api, ports = int(sys.argv[1]), sys.argv[2:]
    for number, port in enumerate(ports):
        threading.Thread(
            target=_write, args=(_Client(api, token(number, "member")), port), daemon=True
        ).start()
    for number in range(READERS):
        client = _Client(api, token(number % MEMBERS, "reader"))
        threading.Thread(target=_read, args=(client,), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
