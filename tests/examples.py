"""The number of examples of a property test: the given number, or fewer in `make check`."""

from __future__ import annotations

from hypothesis import settings


def examples(number: int) -> int:
    """`number` scaled by the profile's `max_examples`: Hypothesis' default of 100 keeps it as it is."""
    return max(1, number * settings().max_examples // 100)
