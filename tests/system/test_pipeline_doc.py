from __future__ import annotations

import pytest

from scripts.pipeline_doc import PAGE, render


@pytest.mark.switch
def test_the_pipeline_page_shows_what_a_real_switch_holds() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run scripts/pipeline_doc.py"
