"""The process in a host's network namespace that serves, asks and watches on command.

One JSON object per line on stdin, one per line back on stdout (see `lab.probe`):
`{"do": "serve", "services": [[kind, address, number], …]}`, `{"do": "forget"}`,
`{"do": "ask", "questions": […], "seconds": s}`, `{"do": "emit", "frames": [[device, hex], …]}`,
`{"do": "seen"}`. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
from typing import Any

from lab.probe_active import ProbeAnswer, Question, ask, serve
from lab.probe_watch import Watcher

_AT_ONCE = 96
"""Questions in flight per host: enough that denied ones do not delay the others, few enough for two cores."""
_LINE_LIMIT = 64 << 20
_EMISSIONS = 3
_EMISSION_GAP_SECONDS = 0.1

_Reply = dict[str, Any]


class Agent:
    """Carries out the commands."""

    def __init__(self) -> None:
        self._watcher = Watcher()
        self._watcher.start()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def do(self, command: dict[str, Any]) -> _Reply:
        """The reply to one command."""
        match command["do"]:
            case "serve":
                return await self._serve(command["services"])
            case "forget":
                self._watcher.take()
                subprocess.run(["ip", "neighbor", "flush", "all"], check=True)
                return {}
            case "ask":
                return {"answers": await self._ask(command["questions"], command["seconds"])}
            case "emit":
                await self._emit(command["frames"])
                return {}
            case "seen":
                return {"marks": self._watcher.take()}
        return {"error": f"unknown command {command['do']!r}"}

    async def _serve(self, services: list[tuple[str, str, int]]) -> _Reply:
        for kind, address, number in services:
            try:
                await serve(kind, address, number)
            except OSError as error:
                return {"error": f"cannot serve {kind}/{number} on {address}: {error}"}
        return {}

    async def _ask(self, questions: list[Question], seconds: float) -> list[ProbeAnswer]:
        async def in_turn(question: Question) -> ProbeAnswer:
            async with self._slots:
                return await ask(question, seconds)

        return await asyncio.gather(*map(in_turn, questions))

    async def _emit(self, frames: list[tuple[str, str]]) -> None:
        """Send each frame a few times: one that arrives once was not stopped."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as line:
            for _ in range(_EMISSIONS):
                for device, frame in frames:
                    line.sendto(bytes.fromhex(frame), (device, 0))
                await asyncio.sleep(_EMISSION_GAP_SECONDS)


def _give_up(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End the whole agent: a server that fails unnoticed would look like a denied probe."""
    sys.stderr.write(f"{context['message']}: {context.get('exception')!r}\n")
    sys.stderr.flush()
    os._exit(3)


async def main() -> None:
    """Serve commands until stdin ends."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.get_running_loop().set_exception_handler(_give_up)
    agent = Agent()
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        reply = await agent.do(json.loads(line))
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
