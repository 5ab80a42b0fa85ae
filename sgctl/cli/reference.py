"""The help of every command as Markdown; `python -m sgctl.cli.reference` writes it to docs/cli.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sgctl.cli.lazy import loaded
from sgctl.cli.root import sgctl

BEGIN = "<!-- The rest is written by `python -m sgctl.cli.reference`. -->"


def updated(page: str) -> str:
    """The page with the current help after the mark."""
    head, mark, _ = page.partition(BEGIN)
    return f"{head}{mark}\n\n" + "\n".join(
        _sections(sgctl, click.Context(sgctl, info_name="sgctl", **sgctl.context_settings))
    )


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    context.max_content_width = context.terminal_width = 100
    level = "##" if context.parent is None else "###"
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"{level} {context.command_path}\n\n```text\n{text}\n```\n"
    if isinstance(command, click.Group):
        for name, each in sorted(command.commands.items()):
            found = loaded(each)
            yield from _sections(found, click.Context(found, info_name=name, parent=context))


if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/cli.md")
    file.write_text(updated(file.read_text(encoding="utf-8")), encoding="utf-8")
