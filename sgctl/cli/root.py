"""The `sgctl` command: global options, and how errors become exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sgctl.cli.commands import COMMANDS
from sgctl.cli.lazy import LazyGroup
from sgctl.cli.options import GlobalOptions
from sgctl.cli.output.terminal import FAILED, OK, USAGE, Failure, fail
from sgctl.optimizations import problem


class _Root(LazyGroup):
    """Accepts `security group` and `address group`, as the OpenStack client spells them."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The name of the command, the command, and its arguments."""
        joined = "-".join(args[:2])
        if len(args) > 1 and args[0] not in self.commands and joined in self.commands:
            args = [joined, *args[2:]]
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Root,
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--db",
    metavar="REMOTE",
    help="OVSDB remote of the policy database, such as unix:FILE or tcp:HOST:PORT. "
    "Default: SGCTL_DB, else unix:${SGCTL_RUN_DIR:-/var/run/sgctl}/policy.sock.",
)
@click.option(
    "--ovsdb",
    metavar="REMOTE",
    help="OVSDB remote of the local Open vSwitch database. "
    "Default: SGCTL_OVSDB, else unix:${OVS_RUNDIR:-/var/run/openvswitch}/db.sock.",
)
@click.option(
    "--project",
    metavar="PROJECT",
    help="The project to act for. Names refer to its objects, and new objects belong to it. "
    "Default: SGCTL_PROJECT, else the objects that belong to no project.",
)
@click.pass_context
def sgctl(context: click.Context, db: str | None, ovsdb: str | None, project: str | None) -> None:
    """Security groups for Open vSwitch.

    Exit status: 0 on success; 1 on failure, and nothing has changed unless the message says otherwise; 2 if
    the command line is wrong. Each error is one line on standard error.
    """
    context.obj = GlobalOptions(db, ovsdb, project)


def _ask_for_a_command(context: click.Context | None) -> int:
    """Show the help for `sgctl` alone. For a group without a command, report the commands that it has."""
    assert context is not None
    assert isinstance(context.command, click.Group)
    if context.parent is None:
        click.echo(context.get_help())
        return USAGE
    names = ", ".join(context.command.list_commands(context))
    return fail([f"give a command: {names} (see {context.command_path} --help)"], USAGE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: with 0, or with one line per error and 1 or 2."""
    if found := problem():
        sys.exit(fail([found], FAILED))
    try:
        code = sgctl.main(args=arguments, prog_name="sgctl", standalone_mode=False) or OK
    except click.exceptions.NoArgsIsHelpError as error:
        code = _ask_for_a_command(error.ctx)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "sgctl"
        code = fail([f"{error.format_message()} (see {path} --help)"], USAGE)
    except click.ClickException as error:
        code = fail([error.format_message()], FAILED)
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except Failure as error:
        code = fail(error.lines, FAILED)
    sys.exit(code)
