"""The order in which simultaneous requests are served, as shown by the numbers that new rules get."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.controller import Controller
from lab.process import wait_until
from sgctl.rest.collection import MAX_BULK_OF_MEMBERS
from tests.api.client import Client, controller_with

ADMIN = "the-admins-own-token"
PROJECTS = ("blue", "green", "red")
REQUESTS, RULES = 4, 50
_QUIET_SECONDS = 0.3
_TICK = 0.02


def token(project: str, role: str = "member") -> str:
    return f"{role}-token-of-{project}"


@pytest.fixture
def busy(private_network: None, tmp_path: Path) -> Iterator[Controller]:
    """A controller whose API has an admin, and members and readers of several projects."""
    lines = [f"- {{token: {ADMIN}, project: ops, role: admin}}"]
    lines += [
        f"- {{token: {token(project, role)}, project: {project}, role: {role}}}"
        for project in PROJECTS
        for role in ("member", "reader")
    ]
    file = tmp_path / "tokens.yaml"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines))
    options = [f"--sgctl-api-tokens={file}"]
    with controller_with(*options) as running:
        yield running


def group_of(client: Client) -> str:
    return str(client.make("security_group", name="many")["id"])


def rules(group: str, first: int, count: int) -> list[dict[str, Any]]:
    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    return [{**rule, "port_range_min": n, "port_range_max": n} for n in range(first, first + count)]


def post(client: Client, group: str, first: int, count: int) -> list[int]:
    """The numbers of new rules, made in one request."""
    answer = client(
        "POST", "/v2.0/security-group-rules", {"security_group_rules": rules(group, first, count)}
    )
    assert answer.status == 201, answer
    return [rule["number"] for rule in answer.document["security_group_rules"]]


@contextmanager
def stopped_database(controller: Controller) -> Iterator[None]:
    """The policy database's server does not answer."""
    (pidfile,) = Path(controller.directory).glob("*.pid")
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def wait_for_silence(controller: Controller) -> None:
    """Wait until the API's process is idle, by its processor time (proc_pid_stat(5))."""
    stat = Path(f"/proc/{controller.api_pid}/stat")

    def used() -> list[str]:
        return stat.read_text().rpartition(")")[2].split()[11:13]

    def silent() -> bool:
        before = used()
        time.sleep(_QUIET_SECONDS)
        return used() == before

    wait_until(silent, "the API waits for the database")


def test_admins_come_first_and_projects_take_turns(busy: Controller) -> None:
    admin = Client(busy.wsapi_port, ADMIN)
    members = {project: Client(busy.wsapi_port, token(project)) for project in PROJECTS}
    groups = {project: group_of(member) for project, member in members.items()}
    of_admin = group_of(admin)
    waiting: list[tuple[str, Future[list[int]]]] = []
    with ThreadPoolExecutor(REQUESTS * len(PROJECTS) + 1) as pool:
        with stopped_database(busy):
            for project, member in members.items():
                for number in range(REQUESTS):
                    work = pool.submit(post, member, groups[project], 1 + number * RULES, RULES)
                    waiting.append((project, work))
                wait_for_silence(busy)
            urgent = pool.submit(post, admin, of_admin, 1, 1)
            wait_for_silence(busy)
            assert not urgent.done()
            reader = Client(busy.wsapi_port, token("blue", "reader"))
            assert len(reader.list("security-groups")) == 2  # reading waits for no write
        served = sorted((work.result()[0], project) for project, work in waiting)
        (number,) = urgent.result()
    assert sum(first < number for first, _ in served) <= 1
    order = [project for _, project in served]
    assert order[0] == PROJECTS[0]
    turns = order[1:]
    assert all(set(turns[start : start + 3]) == set(PROJECTS) for start in range(0, 9, 3)), order


def test_a_member_creates_fewer_objects_at_once_than_an_admin(busy: Controller) -> None:
    member, admin = Client(busy.wsapi_port, token("blue")), Client(busy.wsapi_port, ADMIN)
    group = group_of(member)
    too_many = {"security_group_rules": rules(group, 1, MAX_BULK_OF_MEMBERS + 1)}
    refused = member("POST", "/v2.0/security-group-rules", too_many)
    assert refused.status == 400
    assert f"1 to {MAX_BULK_OF_MEMBERS}" in refused.message
    assert len(member.list("security-group-rules", f"security_group_id={group}")) == 2
    assert admin("POST", "/v2.0/security-group-rules", too_many).status == 201
    assert admin("DELETE", f"/v2.0/security-groups/{group}").status == 204
    assert not admin.list("security-group-rules", f"security_group_id={group}")


def test_the_api_process_is_restarted_after_it_dies(busy: Controller) -> None:
    admin = Client(busy.wsapi_port, ADMIN)
    os.kill(busy.api_pid, signal.SIGKILL)
    assert admin.make("security_group", name="after")  # the controller listens on meanwhile
    assert "the API process has ended" in busy.log.read_text()


def test_the_process_ends_with_the_controller(busy: Controller) -> None:
    process = Path(f"/proc/{busy.api_pid}")
    busy.kill()
    wait_until(lambda: not process.exists(), "the API process has ended")
