"""The preview of a change before it is made, and the removal of objects that no file states."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from flows.policy.objects import Rule, SecurityGroup
from sgctl.store import Store
from tests.cli.conftest import Cli

Write = Callable[[str], str]
Fresh = Callable[[], Store]

NETWORK = """
apiVersion: sgctl/v1
kind: Network
metadata: {name: blue}
spec: {subnets: [10.0.0.0/24]}
"""
GROUP = """
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: web, project_id: p1}
spec:
  rules:
  - {direction: ingress, protocol: tcp, ports: 80}
  - {direction: ingress, protocol: tcp, ports: 443}
"""
OTHER = """
apiVersion: sgctl/v1
kind: SecurityGroup
metadata: {name: other, project_id: p2}
spec: {rules: [{direction: egress}]}
"""
PORT = """
apiVersion: sgctl/v1
kind: Port
metadata: {name: web1}
spec: {network: blue, mac_address: "02:00:00:00:00:01", security_groups: [web]}
"""
ALL = f"{NETWORK}---{GROUP}---{OTHER}---{PORT}"


def test_a_dry_run_reports_everything_and_changes_nothing(cli: Cli, manifest: Write, fresh: Fresh) -> None:
    result = cli("apply", "--dry-run", "-f", manifest(ALL))
    assert result.out.splitlines() == [
        "Network blue created (dry run)",
        "SecurityGroup web created (2 rules added) (dry run)",
        "SecurityGroup other created (1 rule added) (dry run)",
        "Port web1 created (dry run)",
    ]
    bad = cli("apply", "--dry-run", "-f", manifest(PORT))
    assert (bad.code, len(bad.errors)) == (1, 2)
    assert fresh().generation == 0


def test_diff_shows_each_object_as_a_manifest_before_and_after(cli: Cli, manifest: Write) -> None:
    cli("apply", "-f", manifest(ALL))
    changed = manifest(f"{GROUP.replace('443', '8443')}---{NETWORK}---{OTHER.replace('other', 'new')}")
    result = cli("diff", "-f", changed)
    assert result.code == 0
    assert result.out.startswith("--- /dev/null\n+++ SecurityGroup/new\n@@ ")
    assert "+  name: new\n" in result.out
    first = result.out[result.out.index("--- SecurityGroup/web") :]
    assert first.startswith("--- SecurityGroup/web\n+++ SecurityGroup/web\n@@ ")
    minus = [line for line in first.splitlines()[2:] if line.startswith("-")]
    plus = [line for line in first.splitlines()[2:] if line.startswith("+")]
    assert (minus, plus) == (
        ["-    port_range_min: 443", "-    port_range_max: 443"],
        ["+    port_range_min: 8443", "+    port_range_max: 8443"],
    )
    assert cli("diff", "--exit-code", "-f", changed).code == 3
    (new, web) = json.loads(cli("diff", "-o", "json", "-f", changed).out)
    assert [web["action"], new["action"], new["before"]] == ["updated", "created", ""]
    cli("apply", "-f", changed)
    assert cli("diff", "--exit-code", "-f", changed) == (0, "", "")


def test_prune_stays_within_kinds_and_projects(cli: Cli, manifest: Write, fresh: Fresh) -> None:
    cli("apply", "-f", manifest(ALL))
    stated = manifest(NETWORK)
    assert cli("apply", "--prune", "sg", "--yes", "-f", stated).out == "Network blue unchanged\n"
    used = cli(
        "--project", "p1", "apply", "--prune", "sg", "--yes", "-f", manifest(GROUP.replace("web", "new"))
    )
    assert used.errors == ["SecurityGroup web: in use by port web1"]
    result = cli("apply", "--prune", "sg", "--prune-project", "p2", "--yes", "-f", stated)
    assert result.out == "Network blue unchanged\nSecurityGroup other deleted\n"
    assert len(fresh().objects[Rule]) == 2
    assert "Port web1" in cli("diff", "--prune", "all", "-f", stated).out.replace("/", " ")
    everywhere = ("--prune-project", "", "--prune-project", "p1")
    result = cli("apply", "--prune", "all", *everywhere, "--yes", "-f", stated)
    assert result.out == "Network blue unchanged\nPort web1 deleted\nSecurityGroup web deleted\n"
    assert not fresh().objects[SecurityGroup]


def test_prune_removes_nothing_without_a_yes(cli: Cli, manifest: Write, fresh: Fresh) -> None:
    cli("apply", "-f", manifest(ALL))
    result = cli("apply", "--prune", "ports", "-f", manifest(NETWORK))
    assert result.code == 1
    assert result.err.splitlines() == [
        "Port web1 will be removed",
        "error: 1 object would be removed; --yes removes without asking",
    ]
    assert fresh().generation == 1
    assert cli("apply", "--prune", "rules", "--yes", "-f", manifest(NETWORK)).code == 2
    assert cli("apply", "--prune-project", "p", "-f", manifest(NETWORK)).code == 2


def test_a_default_group_made_for_its_network_is_not_pruned(cli: Cli, manifest: Write, fresh: Fresh) -> None:
    evroc = manifest(NETWORK.replace("subnets", "defaults: evroc, subnets"))
    cli("apply", "-f", evroc)
    assert cli("apply", "--prune", "all", "--yes", "-f", evroc).out == "Network blue unchanged\n"
    assert len(fresh().objects[SecurityGroup]) == 1


def test_an_export_recreates_the_policy_in_another_database(
    cli: Cli, manifest: Write, tmp_path: Path
) -> None:
    cli("apply", "-f", manifest(ALL))
    text = cli("export").out
    assert text == cli("get", "all", "-o", "yaml").out
    everything = cli("export", "-o", "name").out.split()
    assert cli("export", "--project", "p1", "-o", "name").out == "security-group/web\n"
    assert cli("export", "-d", str(tmp_path / "site")).out == f"4 objects written below {tmp_path / 'site'}\n"
    written = sorted(str(path.relative_to(tmp_path / "site")) for path in tmp_path.glob("site/*/*"))
    assert written == sorted(f"{name}.yaml" for name in everything)
    assert sorted(cli("delete", *everything, "-o", "name").out.split()) == [
        "network/blue",
        "port/web1",
        "security-group/other",
        "security-group/web",
    ]
    files = [argument for name in written for argument in ("-f", str(tmp_path / "site" / name))]
    assert cli("apply", *files).code == 0
    assert cli("export").out == text


def test_a_rule_gets_its_groups_project_and_raises_the_groups_revision(
    cli: Cli, manifest: Write, fresh: Fresh
) -> None:
    cli("apply", "-f", manifest(ALL))
    store = fresh()
    assert {rule.meta.project_id for rule in store.objects[Rule].values()} == {"p1", "p2"}
    cli("apply", "-f", manifest(GROUP.replace("443", "8443")))
    cli("delete", "rule", "16")
    revisions = {group.name: group.meta.revision_number for group in fresh().objects[SecurityGroup].values()}
    assert revisions == {"web": 2, "other": 0}
    assert "unchanged" in cli("apply", "-f", manifest(OTHER)).out
