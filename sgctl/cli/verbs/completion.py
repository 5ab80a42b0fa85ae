"""`sgctl completion`: the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash: `eval "$(sgctl completion bash)"` in ~/.bashrc. It completes commands, options, and the names of
    objects.
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells of the choice"
    click.echo(kind(context.find_root().command, {}, "sgctl", "_SGCTL_COMPLETE").source())
