"""Probes a network with real packets: one agent process per host, all probes of a matrix at once.

```
agents = {"h1": Agent(["ip", "netns", "exec", "h1"]), "h2": Agent(["ip", "netns", "exec", "h2"])}
serve(agents, probes)
outcomes = run(agents, probes, seconds=2.0)
```
A probe is allowed when its answer comes back. It is denied when none of its packets reaches the target host's
network card. Any other outcome is `half`, and never as expected.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from lab.probe_frames import Side, attack_frames
from lab.probe_watch import TOKEN_PREFIX

_REPOSITORY = Path(__file__).resolve().parents[1]
_SETTLE_SECONDS = 0.2
_SERVED = ("tcp", "udp", "proto")
_ASKED = (*_SERVED, "icmp")


class ProbeError(Exception):
    """The test bench failed; the probes say nothing about the network."""


class Observed(StrEnum):
    """The result of a probe."""

    ALLOW = "allow"
    DENY = "deny"
    HALF = "half"
    """The question arrived but no answer came back, or an answer came to a question that did not arrive."""
    BROKEN = "broken"
    """The bench could not send the question."""


class Observation(NamedTuple):
    """What was observed, and the evidence in words."""

    observed: Observed
    detail: str


@dataclass(frozen=True)
class Probe:
    """One question between two hosts.

    `kind` is tcp, udp, icmp, proto or an attack of `lab.probe_frames`; `number` is a port or an IP protocol;
    `stranger` is a third host on the network that an attacker impersonates.
    """

    kind: str
    family: int
    number: int
    source: Side
    target: Side
    stranger: Side | None = None
    token: str = field(default_factory=lambda: TOKEN_PREFIX.decode() + secrets.token_hex(8))

    @property
    def is_attack(self) -> bool:
        """Whether the probe consists of frames that get no answer."""
        return self.kind not in _ASKED

    @property
    def observer(self) -> str:
        """The host at whose network card the probe is observed."""
        return self.source.host if self.kind == "sniff" else self.target.host

    def frames(self) -> tuple[Side, list[bytes]]:
        """The sender of an attack, and the attack's frames."""
        assert self.stranger is not None, "an attack impersonates a host"
        sender = self.target if self.kind == "sniff" else self.source
        token = self.token.encode()
        return sender, attack_frames(self.kind, self.source, self.target, self.stranger, token)


class AgentProcess:
    """The agent process of one host. `enter` is the command prefix that enters its network namespace."""

    def __init__(self, enter: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*enter, sys.executable, "-m", "lab.probe_agent"],
            cwd=_REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a command without waiting; each needs one `reply()`. Raises ProbeError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise ProbeError(f"probe agent: {error}; {self._last_words()}") from error

    def reply(self) -> dict[str, Any]:
        """The answer to the oldest command that has none yet. Raises ProbeError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ProbeError(f"probe agent ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ProbeError(str(answer["error"]))
        return answer

    def close(self) -> None:
        """End the agent process and its servers."""
        self._process.kill()
        self._process.communicate()

    def _last_words(self) -> str:
        self._process.kill()
        _, error = self._process.communicate()
        return error.strip().splitlines()[-1] if error.strip() else "it said nothing"


def ask_all(
    agents: Mapping[str, AgentProcess], commands: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Send each named host its command, then collect the answers: the hosts work at the same time."""
    for host, command in commands.items():
        agents[host].tell(command)
    return {host: agents[host].reply() for host in commands}


def serve(
    agents: Mapping[str, AgentProcess], addresses: Mapping[str, Iterable[str]], probes: Iterable[Probe]
) -> None:
    """Start every server that a probe needs, once, on all `addresses` of its host.

    All servers listen when this returns. Raises ProbeError when a server cannot listen.
    """
    wanted = sorted({(probe.kind, probe.family, probe.number) for probe in probes if probe.kind in _SERVED})
    commands = {}
    for host, own in addresses.items():
        services = [
            (kind, address, number)
            for address in own
            for kind, family, number in wanted
            if family == (6 if ":" in address else 4)
        ]
        commands[host] = {"do": "serve", "services": services}
    ask_all(agents, commands)


def run(agents: Mapping[str, AgentProcess], probes: Sequence[Probe], seconds: float) -> list[Observation]:
    """The outcome of each probe, in order; all hosts ask at once, each question for at most `seconds`.

    At first no host knows the MAC address of another. Attacks come last: an attack that succeeds leaves wrong
    MAC addresses behind.
    """
    ask_all(agents, {host: {"do": "forget"} for host in agents})
    replies = ask_all(agents, _questions(probes, seconds))
    ask_all(agents, _emissions(probes))
    time.sleep(_SETTLE_SECONDS)
    seen = ask_all(agents, {host: {"do": "seen"} for host in agents})
    answers = {answer["id"]: answer for reply in replies.values() for answer in reply["answers"]}
    marks = {host: set(reply["marks"]) for host, reply in seen.items()}
    return [judge(probe, answers.get(number), marks[probe.observer]) for number, probe in enumerate(probes)]


def _emissions(probes: Sequence[Probe]) -> dict[str, dict[str, Any]]:
    frames: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for probe in probes:
        if probe.is_attack:
            sender, found = probe.frames()
            frames[sender.host] += [(sender.device, frame.hex()) for frame in found]
    return {host: {"do": "emit", "frames": found} for host, found in frames.items()}


def _questions(probes: Sequence[Probe], seconds: float) -> dict[str, dict[str, Any]]:
    questions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, probe in enumerate(probes):
        if not probe.is_attack:
            questions[probe.source.host].append(
                {
                    "id": number,
                    "kind": probe.kind,
                    "family": probe.family,
                    "number": probe.number,
                    "device": probe.source.device,
                    "source": probe.source.address,
                    "target": probe.target.address,
                    "token": probe.token,
                }
            )
    return {host: {"do": "ask", "questions": found, "seconds": seconds} for host, found in questions.items()}


def judge(probe: Probe, answer: Mapping[str, Any] | None, seen: set[str]) -> Observation:
    """The outcome, from the asker's answer (None for attacks) and the marks that the observer has `seen`."""
    if answer is None:
        arrived = probe.token in seen
        return Observation(Observed.ALLOW if arrived else Observed.DENY, "seen" if arrived else "not seen")
    if answer["outcome"] == "broken":
        return Observation(Observed.BROKEN, answer["detail"])
    arrived, answered = answer["mark"] in seen, answer["outcome"] == "answered"
    if arrived and answered:
        return Observation(Observed.ALLOW, "answered")
    if not arrived and not answered:
        return Observation(Observed.DENY, answer["detail"])
    where = (
        f"{probe.target.host} saw the question but no answer came back"
        if arrived
        else "answered by another host"
    )
    return Observation(Observed.HALF, f"{where}; {answer['detail']}")
