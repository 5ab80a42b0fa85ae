"""Commands that are imported when they are needed.

Every module of the command line imports what it needs at its top. What most runs do not need is named by
its place, `module:attribute`, and imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


def load(place: str) -> Any:
    """The object at `module:attribute`."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


class LazyCommand(click.Command):
    """A name and a short help text that stand for a command until it is loaded.

    `place` is where the command is. If `argument` is given, a function that makes the command is there, and
    `argument` is the place of the only argument of that function.
    """

    def __init__(self, name: str, place: str, short_help: str, argument: str | None = None) -> None:
        super().__init__(name, short_help=short_help)
        self.place = place
        self._argument = argument

    def load(self) -> click.Command:
        """The command, with the short help text that is given here."""
        found = load(self.place)
        command: click.Command = found if self._argument is None else found(load(self._argument))
        command.short_help = self.short_help
        return command


class LazyGroup(click.Group):
    """A group that loads only the command that the user has named."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The name of the command, the command, and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if command is None else loaded(command), rest


def loaded(command: click.Command) -> click.Command:
    """The command itself; it is loaded if it is a LazyCommand."""
    return command.load() if isinstance(command, LazyCommand) else command
