"""MkDocs hook: the site also has the pages and files of the repository that its pages link to.

Links stay as GitHub shows them, relative to the file that they are in. Whatever they lead to outside docs/ is
copied into the site at its path in the repository, so that MkDocs checks these links like all others.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OWN_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
OVERVIEW = "overview.md"
"""What README.md is called in the site, where MkDocs would take that name for a folder's index."""
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^()#\s]+)(?=[)#])")
_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages at the top of the repository, and every file that a page links to outside docs/."""
    for name in OWN_PAGES:
        files.append(File.generated(config, _name(ROOT / name), abs_src_path=str(ROOT / name)))
    for page in list(files.documentation_pages()):
        links = _LINK.findall(_FENCE.sub("", page.content_string))
        for target in {(_source(page).parent / link).resolve() for link in links}:
            if _is_copied(target) and files.get_file_from_path(_name(target)) is None:
                files.append(File.generated(config, _name(target), abs_src_path=str(target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Write links as they are in the site, where docs/ is the top."""
    source = _source(page.file)
    here = Path(page.file.src_uri).parent

    def moved(found: re.Match[str]) -> str:
        target = (source.parent / found[1]).resolve()
        is_ours = target.is_relative_to(DOCS) or _is_copied(target)
        return os.path.relpath(_name(target), here) if is_ours else found[1]

    parts = _FENCE.split(markdown)  # text and blocks of code in turn
    parts[::2] = [_LINK.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


def _is_copied(target: Path) -> bool:
    """Whether a link's target is a file of the repository outside docs/."""
    return target.is_file() and target.is_relative_to(ROOT) and not target.is_relative_to(DOCS)


def _source(file: File) -> Path:
    """Where a page of the site is in the repository."""
    return Path(file.abs_src_path or ROOT / file.src_uri).resolve()


def _name(target: Path) -> str:
    """Where a file of the repository is in the site."""
    if target == ROOT / "README.md":
        return OVERVIEW
    top = DOCS if target.is_relative_to(DOCS) else ROOT
    return target.relative_to(top).as_posix()
