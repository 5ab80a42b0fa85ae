"""The API's listening socket: who needs no token, and which clients cannot delay others."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.controller import Controller
from lab.process import run, wait_until
from sgctl.rest.connection_limits import MAX_PER_PEER
from tests.api.client import Answer, Client, controller_with

ADMIN, MEMBER, NEW = "admin-token-0123456789", "member-token-012345678", "new-token-0123456789ab"
TOKENS = f"- {{token: {ADMIN}, project: ops, role: admin}}\n- {{token: {MEMBER}, project: red}}\n"
NOBODY = 65534
HALF_A_REQUEST = b"GET /v2.0/networks HTTP/1.1\r\nX: "
HALF_A_BODY = b"POST /v2.0/networks HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{"
CROWD = 520
LATE_SECONDS = 0.2
"""Longer than the kernel keeps the owner of a socket that was closed."""

ASK_AS_NOBODY = f"""
import http.client, os, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
connection.request("GET", sys.argv[2])
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


ORDER_AND_LEAVE = f"""
import os, socket, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
body = '{{"network": {{"name": "stolen"}}}}'
head = f"POST /v2.0/networks HTTP/1.1\\r\\nContent-Length: {{len(body)}}\\r\\n\\r\\n"
stream.sendall((head + body).encode())
"""


ASK_WITHOUT_END = f"""
import os, socket, sys, threading
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])))

def read():
    while stream.recv(1 << 20):
        pass

threading.Thread(target=read, daemon=True).start()
while True:
    stream.sendall(b"GET /v2.0 HTTP/1.1\\r\\n\\r\\n" * 1000)
"""


def as_nobody(port: int, path: str) -> Answer:
    command = [sys.executable, "-c", ASK_AS_NOBODY, str(port), path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    status, _, body = done.stdout.partition(" ")
    return Answer(int(status), json.loads(body), {})


@pytest.mark.usefixtures("root")
def test_users_without_permission_get_the_reason(alone: Controller) -> None:
    answer = as_nobody(alone.wsapi_port, "/v2.0/networks")
    assert (answer.status, answer.kind) == (403, "PolicyNotAuthorized")
    assert "only root and the group sgctl may use this API: user nobody is not in the group" in answer.message
    for path in ("/identity/v3/projects", "/compute/v2.1/servers", "/v2.0/security-groups"):
        assert as_nobody(alone.wsapi_port, path).status == 403
    assert as_nobody(alone.wsapi_port, "/v2.0").status == 200
    assert Client(alone.wsapi_port)("GET", "/v2.0/networks").status == 200


@pytest.mark.usefixtures("root")
def test_a_user_who_leaves_before_being_asked_is_not_root(alone: Controller) -> None:
    """The kernel may report root as the user of a closed socket, and a busy API accepts it after that."""
    os.kill(alone.api_pid, signal.SIGSTOP)
    try:
        run([sys.executable, "-c", ORDER_AND_LEAVE, str(alone.wsapi_port)])
        time.sleep(LATE_SECONDS)
    finally:
        os.kill(alone.api_pid, signal.SIGCONT)
    client = Client(alone.wsapi_port)
    client.make("network", name="honest")  # writes are done in their order
    assert [network["name"] for network in client.list("networks")] == ["honest"]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("users", ["*", "somebody, nobody"])
def test_a_setting_permits_users(private_network: None, users: str) -> None:
    with controller_with(f"--sgctl-api-users={users}") as running:
        assert as_nobody(running.wsapi_port, "/v2.0/networks").status == 200


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return write(tmp_path / "tokens.yaml", TOKENS)


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def guarded(private_network: None, token_file: Path) -> Iterator[Controller]:
    options = [f"--sgctl-api-tokens={token_file}"]
    with controller_with(*options) as running:
        yield running


def status(controller: Controller, token: str) -> int:
    return Client(controller.wsapi_port, token)("GET", "/v2.0/networks").status


def test_a_token_file_that_changes_is_read_again(guarded: Controller, token_file: Path) -> None:
    write(token_file, TOKENS.replace(MEMBER, NEW))
    assert [status(guarded, token) for token in (ADMIN, MEMBER, NEW)] == [200, 401, 200]
    token_file.chmod(0o644)
    answer = Client(guarded.wsapi_port, ADMIN)("GET", "/v2.0/networks")
    assert (answer.status, answer.kind) == (503, "ServiceUnavailable")
    wait_until(lambda: "others than its owner can read" in guarded.log.read_text(), "the log says why")
    token_file.chmod(0o600)
    assert status(guarded, ADMIN) == 200
    write(token_file, "tokens: {")
    assert status(guarded, ADMIN) == 503
    token_file.unlink()
    assert status(guarded, ADMIN) == 503
    write(token_file, TOKENS)
    assert status(guarded, MEMBER) == 200


@pytest.mark.parametrize("beginning", [HALF_A_REQUEST, HALF_A_BODY, b""])
def test_many_unfinished_requests_delay_nobody(guarded: Controller, beginning: bytes) -> None:
    crowd = []
    for _ in range(CROWD):
        stream = socket.create_connection(("127.0.0.1", guarded.wsapi_port), timeout=5)
        stream.sendall(beginning)
        crowd.append(stream)
    assert status(guarded, ADMIN) == 200
    for stream in crowd:
        stream.close()


def test_a_request_that_is_sent_too_slowly_is_aborted(
    guarded: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a limit for the whole request, not only for each byte."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", guarded.wsapi_port), timeout=5) as stream:
        stream.sendall(HALF_A_BODY.replace(b"\r\n\r\n", f"\r\nX-Auth-Token: {ADMIN}\r\n\r\n".encode()))
        stream.setblocking(False)
        answer = b""

        def ended() -> bool:
            nonlocal answer
            try:
                stream.send(b" ")
                answer += stream.recv(1000)
            except BlockingIOError:
                time.sleep(0.2)
            except ConnectionError:
                return True
            return b"HTTP/1.1" in answer

        wait_until(ended, "the request is aborted", timeout=60)
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - start > 10, "it has time enough to arrive"


def test_idle_connections_of_authorised_clients_stay_open(guarded: Controller) -> None:
    """Many unauthenticated connections do not close them."""
    kept = http.client.HTTPConnection("127.0.0.1", guarded.wsapi_port, timeout=10)

    def ask() -> int:
        kept.request("GET", "/v2.0/networks", headers={"X-Auth-Token": ADMIN})
        answer = kept.getresponse()
        answer.read()
        return answer.status

    assert ask() == 200
    local = kept.sock.getsockname()
    crowd = [socket.create_connection(("127.0.0.1", guarded.wsapi_port), timeout=5) for _ in range(CROWD)]
    assert ask() == 200
    assert kept.sock.getsockname() == local, "it is still the same connection"
    for stream in crowd:
        stream.close()
    kept.close()


def test_idle_connections_of_a_member_block_nobody(guarded: Controller) -> None:
    """The admin comes from the same address."""
    crowd = []
    for _ in range(MAX_PER_PEER):
        connection = http.client.HTTPConnection("127.0.0.1", guarded.wsapi_port, timeout=10)
        connection.request("GET", "/v2.0/extensions/quotas", headers={"X-Auth-Token": MEMBER})
        assert connection.getresponse().read()
        crowd.append(connection)
    assert status(guarded, ADMIN) == 200
    for connection in crowd:
        connection.close()


@pytest.mark.usefixtures("root")
def test_endless_requests_do_not_block_other_clients(guarded: Controller) -> None:
    """On one connection of another user, the next request is always there already."""
    with subprocess.Popen([sys.executable, "-c", ASK_WITHOUT_END, str(guarded.wsapi_port)]) as stranger:
        try:
            time.sleep(0.5)  # it has begun
            assert [status(guarded, ADMIN) for _ in range(3)] == [200, 200, 200]
            assert stranger.poll() is None, "it goes on all the time"
        finally:
            stranger.kill()


STRANGE = (
    b"",
    b"\r\n",
    b"\xff\xff\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /v2.0 HTTP/1.1\r\nno header\r\n\r\n",
    b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /v2.0 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /v2.0 HTTP/1.1\r\nContent-Length: 9\r\n\r\n1",
)


def test_strangers_do_not_fill_the_log(guarded: Controller) -> None:
    assert status(guarded, ADMIN) == 200
    before = guarded.log.read_text()
    for request in STRANGE:
        with socket.create_connection(("127.0.0.1", guarded.wsapi_port), timeout=10) as stream:
            stream.sendall(request)
            stream.shutdown(socket.SHUT_WR)
            while stream.recv(1 << 16):
                pass
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", guarded.wsapi_port), timeout=10) as stream:
            stream.sendall(b"GET /openapi.json HTTP/1.1\r\n\r\n" * 10)
            assert stream.recv(100)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert status(guarded, ADMIN) == 200
    assert guarded.log.read_text() == before


def test_the_listener_survives_a_lack_of_file_descriptors(guarded: Controller) -> None:
    """The listener waits until descriptors are free again."""
    assert status(guarded, ADMIN) == 200  # it has all the files that it needs by itself
    limit = len(list(Path(f"/proc/{guarded.api_pid}/fd").iterdir())) + 3
    run_prlimit(guarded.api_pid, limit)
    crowd = [socket.create_connection(("127.0.0.1", guarded.wsapi_port), timeout=5) for _ in range(30)]
    wait_until(lambda: "cannot accept a connection" in guarded.log.read_text(), "all descriptors are used")
    for stream in crowd:
        stream.close()
    run_prlimit(guarded.api_pid, 4096)
    assert status(guarded, ADMIN) == 200


def run_prlimit(pid: int, files: int) -> None:
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={files}:4096"], check=True)
