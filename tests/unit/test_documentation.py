"""The documentation: links have targets, pages are linked, and names exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"\[[^\]\[]*\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)


def pages() -> list[Path]:
    """All pages of the repository, without those of installed tools."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """The links of a page within the repository."""
    targets = _LINK.findall(_CODE.sub("", prose(page)))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The ids of a page's headings, as GitHub and MkDocs both make them of such headings."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return frozenset(
        slug if not n else f"{slug}-{n}" for slug, times in found.items() for n in range(times + 1)
    )


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), f"{link} leaves the repository"
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_broken_links_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `title`, twice\n# A title, twice\n[a](#a-title-twice-1) [b](no.md) `[c](d)`\n```\n[e](f)\n```\n"
    )
    assert links(page) == ["#a-title-twice-1", "no.md"]
    assert anchors(page) == {"a-title-twice", "a-title-twice-1"}


def test_the_index_leads_to_every_page() -> None:
    indexes = [ROOT / "docs" / "index.md", ROOT / "docs" / "decisions" / "index.md"]
    led_to = {(index.parent / link.partition("#")[0]).resolve() for index in indexes for link in links(index)}
    assert {page for page in pages() if page.is_relative_to(ROOT / "docs")} <= {indexes[0], *led_to}


def modules() -> list[Path]:
    """The modules of the project, without its tests."""
    packages = ("flows", "sgctl", "lab", "bench", "scripts", "mininet", "topologies")
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]


def class_names(paths: Iterable[Path]) -> Iterator[str]:
    trees = (ast.parse(path.read_text()) for path in paths)
    return (node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def test_the_glossary_names_classes_that_exist() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    own = text.partition("\n## Terms of our own\n")[2]
    named = {
        name for line in own.splitlines() for name in re.findall(r"`([A-Z]\w+)`", line.rpartition(" | ")[2])
    }
    assert len(named) > 20
    assert named <= set(class_names(modules()))


def names_used_twice(found: Iterable[str]) -> set[str]:
    return {name for name, times in Counter(found).items() if times > 1}


def room_of(module: Path) -> str:
    """The room of docs/architecture.md, or the top-level folder."""
    folders = module.relative_to(ROOT).parts[:-1]
    return ".".join(folders[: 2 if folders[0] in ("flows", "sgctl") else 1])


def test_modules_of_one_name_are_the_same_thing() -> None:
    twice = names_used_twice(path.stem for path in modules() if path.stem != "__init__")
    used = {name: {room_of(path) for path in modules() if path.stem == name} for name in twice}
    section = (ROOT / "docs" / "glossary.md").read_text().partition("\n## Module names\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| \S.* \| (.*) \|$", section, re.MULTILINE)
    listed = {name: set(re.findall(r"`([\w.]+)`", rooms)) for name, rooms in rows}
    assert used == listed, "rename a module, or list what the name means in all these rooms"


def test_a_class_name_means_one_thing() -> None:
    assert names_used_twice(class_names(modules())) == set()


def test_a_second_use_of_a_name_would_be_seen() -> None:
    assert names_used_twice(["plan", "ports", "plan"]) == {"plan"}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_and_modules_that_are_named_exist(name: str) -> None:
    """A moved file or module makes this test fail until the pages are updated."""
    code = re.findall(r"`([\w./]+)`", prose(ROOT / name))
    folders = {path.name for path in ROOT.iterdir()}
    files = {word for word in code if word.partition("/")[0] in folders and "NAME" not in word}
    modules = {word for word in code if re.fullmatch(r"(flows|sgctl)\.[a-z_.]+", word)}
    assert len(files | modules) > 20
    assert not [word for word in files if not (ROOT / word).exists()]
    paths = [ROOT / word.replace(".", "/") for word in modules]
    assert not [path for path in paths if not (path.is_dir() or path.with_suffix(".py").exists())]


def test_pages_that_the_code_names_exist() -> None:
    named = {page for path in modules() for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text())}
    assert len(named) > 10
    assert not [page for page in named if not (ROOT / page).exists()]


def test_every_make_target_that_is_named_exists() -> None:
    for page in pages():
        assert set(re.findall(r"`make ([a-z0-9]+)", page.read_text())) <= targets(), page


def test_the_version_has_an_entry_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_workflows_run_what_developers_run() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text()
        made = {
            name
            for run in re.findall(r"\brun: (.*)", text)
            for name in re.findall(r"^(?:sudo )?make (\w+)", run)
        }
        listed = {name for names in re.findall(r"\bwhat: \[(.*)\]", text) for name in names.split(", ")}
        assert made | listed
        assert made | listed <= targets()
