"""Images of Debian's releases, each made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from lab.machine import Image

SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}


@pytest.fixture(scope="session")
def images() -> Iterator[Callable[[str], Image]]:
    """The image of a release, by its code name."""
    made: dict[str, Image] = {}
    with ExitStack() as stack:

        def image(suite: str) -> Image:
            if suite not in made:
                made[suite] = stack.enter_context(Image(suite))
            return made[suite]

        yield image


@pytest.fixture
def hosts() -> Iterator[ExitStack]:
    """The contexts that a test enters here end with the test."""
    with ExitStack() as stack:
        yield stack
