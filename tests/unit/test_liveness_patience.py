from __future__ import annotations

import pytest

from sgctl.store import StoreError
from sgctl.store.liveness import PATIENCE, _patience_seconds


@pytest.mark.parametrize(("text", "seconds"), [("", 0.7), ("5", 5.0), ("0.25", 0.25)])
def test_how_long_a_controller_may_take_to_answer(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    monkeypatch.setenv(PATIENCE, text)
    assert _patience_seconds() == seconds


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "3600"])
def test_an_invalid_time_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(PATIENCE, text)
    with pytest.raises(StoreError, match=f"{PATIENCE}={text}: a number of seconds"):
        _patience_seconds()
