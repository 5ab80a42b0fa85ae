"""The `sgctl` command: global options, subcommands, and what becomes of errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sgctl.cli.apply import apply, diff
from sgctl.cli.completion import completion
from sgctl.cli.delete import delete
from sgctl.cli.describe import describe
from sgctl.cli.edit import edit
from sgctl.cli.export import export
from sgctl.cli.get import get
from sgctl.cli.inspect import flows, verify
from sgctl.cli.nouns.address_group import address_group
from sgctl.cli.nouns.network import network
from sgctl.cli.nouns.security_group import security_group
from sgctl.cli.nouns.subnet import subnet
from sgctl.cli.plan import plan
from sgctl.cli.port import port
from sgctl.cli.reach import reach
from sgctl.cli.session import Session
from sgctl.cli.status import status, wait
from sgctl.cli.terminal import FAILED, OK, USAGE, Failure, fail
from sgctl.cli.trace import trace
from sgctl.cli.uplink import uplink
from sgctl.cli.version import version


class _Root(click.Group):
    """Takes `security group` and `address group`, as the OpenStack client spells them, for one word."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words begin with."""
        joined = "-".join(args[:2])
        if len(args) > 1 and args[0] not in self.commands and joined in self.commands:
            args = [joined, *args[2:]]
        return super().resolve_command(ctx, args)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
    help="The project to act for: names mean its objects, and new objects belong to it. "
    "Default: SGCTL_PROJECT, else the objects that belong to no project.",
)
@click.pass_context
def sgctl(context: click.Context, db: str | None, ovsdb: str | None, project: str | None) -> None:
    """Security groups for Open vSwitch.

    Exit status: 0 done; 1 failed, and unless the message says otherwise nothing changed; 2 the command
    line is wrong. Errors are one line each on standard error.
    """
    context.obj = context.with_resource(Session(db, ovsdb, project))


for _command in (
    address_group,
    apply,
    completion,
    delete,
    describe,
    diff,
    edit,
    export,
    flows,
    get,
    network,
    plan,
    port,
    reach,
    security_group,
    status,
    subnet,
    trace,
    uplink,
    verify,
    version,
    wait,
):
    sgctl.add_command(_command)


def _ask_for_a_command(context: click.Context | None) -> int:
    """Who typed `sgctl` alone wants to know what there is."""
    assert context is not None
    assert isinstance(context.command, click.Group)
    if context.parent is None:
        click.echo(context.get_help())
        return USAGE
    names = ", ".join(context.command.list_commands(context))
    return fail([f"give a command: {names} (see {context.command_path} --help)"], USAGE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, or one line per error and 1 or 2."""
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
