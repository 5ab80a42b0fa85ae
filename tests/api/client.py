"""Clients of the API: plain HTTP, and the OpenStack client."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lab.controller import Controller
from lab.ovs import PrivateOvs

ROOT = Path(__file__).parents[2]
OPENSTACK = ROOT / ".venv-openstack" / "bin"
COLLECTIONS = ("networks", "subnets", "ports", "security-groups", "security-group-rules", "address-groups")


class Answer(NamedTuple):
    status: int
    document: Any
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """Neutron's type of an error."""
        return str(self.document["NeutronError"]["type"])

    @property
    def message(self) -> str:
        return str(self.document["NeutronError"]["message"])

    @property
    def one(self) -> Any:
        """The object in the envelope."""
        (value,) = self.document.values()
        return value


class Client:
    """Sends requests to one address, each on its own connection."""

    def __init__(self, port: int, token: str = "") -> None:
        self.port = port
        self._headers = {"X-Auth-Token": token} if token else {}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, data, {**self._headers, **names})
            response = connection.getresponse()
            text = response.read()
            return Answer(response.status, json.loads(text) if text else None, dict(response.headers))
        finally:
            connection.close()

    def make(self, kind: str, **attributes: Any) -> Any:
        """A new object."""
        answer = self("POST", f"/v2.0/{collection(kind)}", {kind: attributes})
        assert answer.status == 201, answer
        return answer.document[kind]

    def show(self, kind: str, identifier: str) -> Any:
        answer = self("GET", f"/v2.0/{collection(kind)}/{identifier}")
        assert answer.status == 200, answer
        return answer.document[kind]

    def list(self, path: str, query: str = "") -> list[Any]:
        answer = self("GET", f"/v2.0/{path}{query and '?'}{query}")
        assert answer.status == 200, answer
        items: list[Any] = answer.document[path.replace("-", "_")]
        return items

    def everything(self) -> dict[str, Any]:
        """All objects of the policy, to compare the states before and after."""
        return {path: self.list(path) for path in COLLECTIONS}


def collection(kind: str) -> str:
    return f"{kind}s".replace("_", "-")


@contextmanager
def controller_with(*options: str) -> Iterator[Controller]:
    """A controller started with these options; its switch has no bridge."""
    with PrivateOvs(dummy=True) as switch, Controller(switch.remote, options=list(options)) as running:
        yield running


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """One process of the OpenStack client for many commands."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        script = Path(__file__).with_name("openstack_shell.py")
        self._process = subprocess.Popen(
            [OPENSTACK / "python", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=dict(environment),
        )

    def run(self, command: str) -> Result:
        """The output of a command; `command` is without the program's name."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(shlex.split(command)) + "\n")
        self._process.stdin.flush()
        return Result(**json.loads(self._process.stdout.readline()))

    def __call__(self, command: str) -> str:
        """The output of a command that succeeds."""
        result = self.run(command)
        assert result.code == 0, (command, result)
        return result.out

    def json(self, command: str) -> Any:
        return json.loads(self(f"{command} -f json"))

    def close(self) -> None:
        self._process.communicate()


def client_environment(**settings: str) -> dict[str, str]:
    """The environment of a client with these settings only."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    path = f"{OPENSTACK}{os.pathsep}{inherited['PATH']}"
    return {**inherited, "PATH": path, "no_proxy": "127.0.0.1", "COLUMNS": "250", **settings}


def table(text: str) -> dict[str, str]:
    """A table of fields and values, as the client prints one object; further lines of a value are joined."""
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if line.startswith("|"):
            field, value = (part.strip() for part in line.strip("|").split("|", 1))
            last = field or last
            found[last] = f"{found[last]}\n{value}" if last in found else value
    return found


def rows(text: str) -> list[list[str]]:
    """A table of several objects; the first row has the titles."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
