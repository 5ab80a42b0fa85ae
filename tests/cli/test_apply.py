from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.policy.objects import Network, Port, Rule, SecurityGroup
from sgctl.service.apply.planner import plan
from sgctl.service.manifests.documents import documents
from sgctl.service.plan import Plan
from sgctl.service.transaction import transact
from sgctl.store import Conflict, Store, SwitchStatus
from sgctl.store.server import PolicyServer
from sgctl.store.snapshot import PolicySnapshot
from tests.cli.conftest import Cli, Enforcer

Write = Callable[[str], str]
Fresh = Callable[[], Store]

NETWORK = "apiVersion: sgctl/v1\nkind: Network\nmetadata: {name: blue}\nspec: {subnets: [10.0.0.0/24]}\n"
GROUP = """
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web}
spec:
  rules:
  - {direction: ingress, protocol: tcp, ports: 80}
  - {direction: ingress, protocol: tcp, ports: 443}
"""


NOBODY = "warning: no switch is connected: the policy is stored, and nothing enforces it\n"


def _port(name: str, groups: str = "") -> str:
    spec = f"{{network: blue, security_groups: [{groups}]}}"
    return f"apiVersion: sgctl/v1\nkind: Port\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_files_are_one_transaction_and_each_object_is_reported(
    cli: Cli, manifest: Write, fresh: Fresh
) -> None:
    files = [manifest(_port("web1", "web")), manifest(f"{NETWORK}---{GROUP}")]
    result = cli("apply", "-f", files[0], "-f", files[1])
    assert result == (
        0,
        "Port web1 created\nNetwork blue created\nSecurityGroup web created (2 rules added)\n",
        NOBODY,
    )
    store = fresh()
    assert store.generation == 1
    assert {kind: len(store.objects[kind]) for kind in (Network, SecurityGroup, Rule, Port)} == {
        Network: 1,
        SecurityGroup: 1,
        Rule: 2,
        Port: 1,
    }
    (port,) = store.objects[Port].values()
    assert port.meta.created_at == port.meta.updated_at != ""


def test_a_change_keeps_unchanged_objects_and_reports_the_others(
    cli: Cli, manifest: Write, fresh: Fresh
) -> None:
    cli("apply", "-f", manifest(f"{NETWORK}---{GROUP}"))
    store = fresh()
    before = {rule.id: rule for rule in store.objects[Rule].values()}
    changed = manifest(f"{NETWORK}---{GROUP.replace('443', '8443')}")
    assert cli("apply", "-f", changed).out == (
        "Network blue unchanged\nSecurityGroup web updated (1 rule added, 1 removed)\n"
    )
    store = fresh()
    after = {rule.id: rule for rule in store.objects[Rule].values()}
    assert [(after[each].number, after[each].port_range_min) for each in before.keys() & after] == [(16, 80)]
    assert [(after[each].number, after[each].port_range_min) for each in after.keys() - before] == [
        (18, 8443)
    ]
    assert "unchanged\nSecurityGroup web unchanged" in cli("apply", "-f", changed).out
    assert fresh().generation == 2


def test_an_error_anywhere_changes_nothing_and_all_errors_are_listed(
    cli: Cli, manifest: Write, fresh: Fresh
) -> None:
    good, bad = manifest(NETWORK), manifest(f"{GROUP.replace('80', '80000')}---\n{_port('p', 'nobody')}")
    result = cli("apply", "-f", good, "-f", bad)
    assert (result.code, result.out) == (1, "")
    reason = "80000 is neither a port from 0 to 65535 nor a range such as 1000-1100"
    assert result.errors == [
        f"{bad}:7: document 1: SecurityGroup web: spec.rules[0].ports: {reason}",
        f"{bad}:13: document 2: Port p: spec.security_groups[0]: there is no security group 'nobody'",
    ]
    store = fresh()
    assert (store.generation, store.objects.size) == (0, 0)


def test_control_characters_reach_no_terminal(cli: Cli, manifest: Write) -> None:
    result = cli("apply", "-f", manifest(GROUP.replace("web", '"\\e[2Jweb\\nerror: ok"')))
    assert result.code == 1
    assert all("\\x1b[2Jweb\\nerror: ok" in error for error in result.errors)
    assert result.err.isascii() and "\x1b" not in result.err  # noqa: PT018


def test_standard_input_is_a_file(cli: Cli) -> None:
    assert cli("apply", "-f", "-", stdin=NETWORK).out == "Network blue created\n"
    assert cli("apply", "-f", "-", stdin="a: [\n").errors == [
        "standard input:2: not YAML: did not find expected node content"
    ]


def test_wait_returns_when_the_switches_have_the_change(
    cli: Cli, manifest: Write, enforce: Callable[..., Enforcer]
) -> None:
    file = manifest(NETWORK)
    assert cli("apply", "-f", file, "--wait", "--timeout", "0.2").errors == [
        "no switch is connected: the policy is stored, and nothing enforces it"
    ]
    enforcer = enforce()
    assert cli("apply", "-f", manifest(GROUP), "--wait", "--timeout", "10").code == 0
    assert cli("apply", "-f", manifest(GROUP), "--wait", "--timeout", "10").code == 0
    enforcer.close()
    enforce(switches=[SwitchStatus("host", "br0", "0" * 16, connected=True, generation=1)])
    assert cli("apply", "-f", manifest(_port("p")), "--wait", "--timeout", "0.2").errors == [
        "switch host/br0 has not applied the policy after 0.2 s"
    ]


def test_a_conflict_is_planned_again_on_the_new_policy(fresh: Fresh) -> None:
    other = fresh()
    seen: list[int] = []

    def add(writer: Store, text: str) -> None:
        transact(writer, lambda objects: plan(objects, documents(text.encode(), "x")))

    def decide(objects: PolicySnapshot) -> Plan:
        seen.append(len(objects[Port]))
        if len(seen) == 1:
            add(other, _port("first"))
        return plan(objects, documents(_port("second").encode(), "x"))

    add(other, NETWORK)
    committed = transact(fresh(), decide)
    assert seen == [0, 1]
    assert committed.generation == 3
    ports = fresh().objects[Port].values()
    addresses = [str(port.fixed_ips[0]) for port in ports]
    assert sorted(addresses) == ["10.0.0.2", "10.0.0.3"]


def test_endless_conflicts_are_given_up(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    other = fresh()
    transact(other, lambda objects: plan(objects, documents(NETWORK.encode(), "x")))
    store = fresh()
    monkeypatch.setattr(store, "timeout", 0.2)
    names = iter(range(1000))

    def decide(objects: PolicySnapshot) -> Plan:
        interloper = _port(f"other{next(names)}").encode()
        transact(other, lambda now: plan(now, documents(interloper, "x")))
        return plan(objects, documents(_port("mine").encode(), "x"))

    with pytest.raises(Conflict):
        transact(store, decide)


def test_many_writers_at_once_lose_nothing(server: PolicyServer, fresh: Fresh, tmp_path: Path) -> None:
    def apply(name: str, text: str) -> None:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        script = "from sgctl.cli import main; main()"
        environment = os.environ | {"SGCTL_DB": server.remote}
        subprocess.run([sys.executable, "-c", script, "apply", "-f", str(path)], check=True, env=environment)

    apply("network", NETWORK)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: apply(name, _port(name)), [f"p{number}" for number in range(12)]))
    store = fresh()
    ports = list(store.objects[Port].values())
    assert {port.name for port in ports} == {f"p{number}" for number in range(12)}
    assert len({port.fixed_ips for port in ports}) == 12
    assert store.generation == 13
