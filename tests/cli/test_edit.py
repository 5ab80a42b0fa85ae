"""`sgctl edit` with editors that are scripts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.policy.objects import Rule, SecurityGroup
from sgctl.store import Store
from tests.cli.conftest import Cli

Fresh = Callable[[], Store]
Editor = Callable[..., Callable[[], list[str]]]


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Replaces `old` by `new` each time it is opened, in the given order; records the text that it got."""

    def use(*steps: tuple[str, str]) -> Callable[[], list[str]]:
        script, log = tmp_path / "editor.py", tmp_path / "log"
        script.write_text(
            "import pathlib, sys\n"
            f"log, steps = pathlib.Path({str(log)!r}), {steps!r}\n"
            "seen = log.read_text().split('\\0') if log.exists() else []\n"
            "file = pathlib.Path(sys.argv[1])\n"
            "text = file.read_text()\n"
            "old, new = steps[len(seen)] if len(seen) < len(steps) else ('', '')\n"
            "log.write_text('\\0'.join([*seen, text]))\n"
            "file.write_text(text.replace(old, new) if old else text)\n"
        )
        monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
        monkeypatch.delenv("VISUAL", raising=False)
        return lambda: log.read_text().split("\0")

    return use


@pytest.fixture
def web(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("SGCTL_PROJECT", "p")
    cli("security-group", "create", "web", "--no-default-rules")
    cli("security-group", "rule", "create", "web", "--protocol", "tcp", "--dst-port", "80")
    return cli


def test_a_saved_edit_is_applied(web: Cli, editor: Editor, fresh: Fresh) -> None:
    editor(("name: web", "name: www"))
    assert web("edit", "sg/web").out == "SecurityGroup www updated\n"
    editor(("port_range_max: 80", "port_range_max: 88"))
    assert web("edit", "security-group", "www", "-o", "name").code == 1  # its log is used up: nothing changes
    (group,) = fresh().objects[SecurityGroup].values()
    assert group.name == "www"
    assert group.meta.project_id == "p"


def test_errors_are_shown_and_the_editor_opened_again(web: Cli, editor: Editor, fresh: Fresh) -> None:
    opened = editor(("protocol: tcp", "protocol: tpc"), ("protocol: tpc", "protocol: udp"))
    assert web("edit", "sg/web").out == "SecurityGroup web updated (1 rule added, 1 removed)\n"
    first, second = opened()
    assert first.startswith("# Save and quit to apply")
    assert "spec.rules[0].protocol: 'tpc' is no protocol; did you mean tcp?" in second.splitlines()[0]
    assert "protocol: tpc" in second
    (rule,) = fresh().objects[Rule].values()
    assert isinstance(rule, Rule)
    assert rule.protocol == 17


def test_leaving_without_a_change_cancels(web: Cli, editor: Editor, fresh: Fresh) -> None:
    opened = editor()
    assert web("edit", "sg/web").errors == ["nothing was changed"]
    assert len(opened()) == 1
    assert fresh().generation == 2


def test_an_edit_that_cannot_be_applied_is_kept_in_a_file(web: Cli, editor: Editor, fresh: Fresh) -> None:
    editor(("direction: ingress", "direction: sideways"))
    errors = web("edit", "sg/web").errors
    assert "sideways" in errors[0]
    kept = Path(errors[-1].partition(" is in ")[2])
    assert "direction: sideways" in kept.read_text()
    kept.unlink()
    assert fresh().generation == 2


def test_an_edit_cannot_create_another_object(web: Cli, editor: Editor) -> None:
    opened = editor(("  id: ", "  id: 0"))
    assert web("edit", "sg/web").code == 1
    assert opened()[1].startswith("# edit one document only, and keep its metadata.id\n")
    assert web("edit", "rule", "16").code == 2
    assert web("edit", "sg/web", "sg/www").code == 2


def test_a_concurrent_change_is_not_undone(
    web: Cli, fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "meanwhile.sh"
    other = f"{Path(sys.executable).with_name('sgctl')} security-group set web --tag theirs -o name"
    script.write_text(f'#!/bin/sh\n{other} >/dev/null\nsed -i s/web/www/ "$1"\n')
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))
    monkeypatch.delenv("VISUAL", raising=False)
    errors = web("edit", "sg/web").errors
    assert errors[0] == "somebody else has changed the object meanwhile"
    Path(errors[1].partition(" is in ")[2]).unlink()
    (group,) = fresh().objects[SecurityGroup].values()
    assert (group.name, group.meta.tags) == ("web", frozenset({"theirs"}))
