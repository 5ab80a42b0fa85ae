from __future__ import annotations

from scripts.attacks_doc import PAGE, render
from tests.attacks.table import ATTACKS


def test_the_page_on_attacks_shows_what_is_tested() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m scripts.attacks_doc"


def test_attack_names_are_unique() -> None:
    names = {(attack.family, attack.name) for attack in ATTACKS}
    assert len(names) == len(ATTACKS)
