"""Changes whose objects have been checked: a transaction does not check them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from flows.policy.objects import Change, PolicyObject
from flows.policy.validate import Problem, check


class InvalidObjects(Exception):
    """Objects cannot be stored; `problems` has all of their problems."""

    def __init__(self, problems: Sequence[tuple[PolicyObject, Problem]]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.reason}" for _, problem in problems))
        self.problems = problems


class CheckedChanges(tuple[Change, ...]):
    """Changes whose new objects are valid (`flows.policy.validate.check`)."""

    __slots__ = ()

    def __new__(cls, changes: Iterable[Change] = ()) -> Self:
        """Check every new object. Raises InvalidObjects."""
        made = super().__new__(cls, changes)
        new = [change.new for change in made if change.new is not None]
        problems = [(obj, problem) for obj in new for problem in check(obj)]
        if problems:
            raise InvalidObjects(problems)
        return made

    def with_metadata(self, changes: Iterable[Change]) -> Self:
        """These changes with metadata that users do not set, which is valid and is not checked."""
        return super().__new__(type(self), changes)
