"""How the text of manifests is read: what is no YAML, which values mean what, and which files are read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from sgctl.service.errors import PolicyError
from sgctl.service.manifests.documents import documents
from sgctl.service.manifests.files import read_files
from sgctl.service.manifests.yaml_reader import MAX_DEPTH

GROUP = "apiVersion: sgctl/v1\nkind: SecurityGroup\nmetadata: {name: g}\n"
WRONG = GROUP + "spec: {rules: [{direction: up}]}\n"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\n b: 2\n", 2, "not YAML: mapping values are not allowed in this context"),
        ("a: [1\n", 2, "not YAML: did not find expected ',' or ']'"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' appears twice, first in line 1"),
        ("spec:\n  1: x\n", 2, "the key '1' must be text; quote it"),
        ("? [a]\n: b\n", 1, "a key must be text"),
        (
            "a: !!python/object:os.system x\n",
            1,
            "the tag tag:yaml.org,2002:python/object:os.system is not supported",
        ),
        ("a: &a [*a]\n", 1, "an alias contains itself"),
        ("a: *nothing\n", 1, "not YAML: found undefined alias"),
        ("[" * 100_000, 1, f"nested more than {MAX_DEPTH} deep"),
        ("a: \x07\n", 0, "not YAML: unacceptable character"),
        ("# nothing here\n", 0, "there is no document in this file"),
    ],
)
def test_invalid_yaml_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(PolicyError) as caught:
        documents(text.encode(), "x.yaml")
    (finding,) = caught.value.findings
    assert (finding.source.file, finding.line) == ("x.yaml", line)
    assert finding.reason.startswith(reason)


def test_values_keep_their_spelling_unless_they_are_numbers_flags_or_null() -> None:
    text = "a: [12:34:56:00:00:01, no, 0100, 1.5, 80, ~, true, 2020-01-01, '7', 99999999999999999999]"
    (document,) = documents(text.encode(), "x.yaml")
    assert document.data == {
        "a": ["12:34:56:00:00:01", "no", "0100", "1.5", 80, None, True, "2020-01-01", "7", "9" * 20]
    }


def test_aliases_that_explode_are_refused() -> None:
    levels = [
        f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 10)}]"
        for level in range(9)
    ]
    with pytest.raises(PolicyError, match="more than 2000000 values"):
        documents("\n".join(["a: &a [1]", *levels]).encode(), "x.yaml")


def test_every_unreadable_file_is_named_and_the_others_are_still_judged(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(WRONG, encoding="utf-8")
    names = ["missing.yaml", "broken.yaml", "wrong.yaml", "."]
    with pytest.raises(PolicyError) as caught:
        read_files([str(tmp_path / name) for name in names], io.BytesIO())
    shown = [(Path(each.source.file).name, each.field) for each in caught.value.findings]
    assert shown == [
        ("missing.yaml", ""),
        ("broken.yaml", ""),
        (tmp_path.name, ""),
        ("wrong.yaml", "spec.rules[0].direction"),
    ]


def test_a_file_named_twice_is_read_once_and_a_dash_is_standard_input(tmp_path: Path) -> None:
    path = str(tmp_path / "a.yaml")
    Path(path).write_text(f"{GROUP}---\n{GROUP}", encoding="utf-8")
    found = read_files([path, path, "-"], io.BytesIO(GROUP.encode()))
    assert [each.source.file for each in found] == [path, path, "standard input"]
