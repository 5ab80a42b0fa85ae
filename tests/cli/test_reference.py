from __future__ import annotations

from pathlib import Path

from sgctl.cli.reference import BEGIN, updated

PAGE = Path("docs/cli.md")


def test_the_page_has_the_help_of_every_command() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert BEGIN in page
    assert page == updated(page), "run: python -m sgctl.cli.reference"
    assert "### sgctl port unbind\n" in page


def test_no_help_text_contains_clicks_markup() -> None:
    assert "\\b" not in PAGE.read_text(encoding="utf-8")
