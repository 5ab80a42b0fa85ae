"""`sgctl verify`: compare the flows of this machine's switches with the policy."""

from __future__ import annotations

import click

from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.explaining import expected_state, explained, switch_tools
from sgctl.cli.options import bridge_option, output_option
from sgctl.cli.output.render import print_json
from sgctl.cli.output.terminal import FAILED
from sgctl.cli.output.text import show
from sgctl.explain.expected import ExpectedState, Unexplained
from sgctl.explain.flow_names import table_name
from sgctl.explain.verify import DifferenceKind, FlowDifference, Verifier, removal
from sgctl.service.errors import printable


@click.command()
@bridge_option
@click.option("--repair", is_flag=True, help="Repair the differences at once.")
@output_option("table", "json")
@click.pass_context
@pass_session
def verify(
    session: CommandSession, context: click.Context, bridge: str | None, repair: bool, output: str
) -> None:
    """Compare the flows on this machine's switches with the flows that the policy requires.

    Shows every difference: a flow that is missing; one that is foreign (with our cookie, but not expected);
    one that was altered; and a bypass: a flow of somebody else in one of our tables that does more than drop.
    Other flows of others are ignored. --repair does not change flows of others; the command that removes one
    is shown. Exit status 1 if anything differs, 0 after a repair.
    """
    with explained():
        expected = expected_state(session)
        verifier = Verifier(expected, switch_tools(session))
        found = {dpid: verifier.check(dpid) for dpid in expected.managed(bridge)}
        records = [_record(expected, verifier, dpid, each) for dpid, some in found.items() for each in some]
        if repair:
            _repair(verifier, found)
    if output == "json":
        print_json(records)
    else:
        bridges = expected.engine.bridges
        _print(records, {bridges[dpid].bridge.name: len(some) for dpid, some in found.items()})
        if any(map(_is_ours, records)) and repair:
            click.echo("repaired")
    left = [record for record in records if not (repair and _is_ours(record))]
    context.exit(FAILED if left else 0)


def _is_ours(record: dict[str, object]) -> bool:
    """Whether a repair removes the difference."""
    return record["removal"] is None


def _repair(verifier: Verifier, found: dict[int, list[FlowDifference]]) -> None:
    for dpid, some in found.items():
        if any(each.kind is not DifferenceKind.BYPASS for each in some):
            verifier.repair(dpid, some)
            if any(each.kind is not DifferenceKind.BYPASS for each in verifier.check(dpid)):
                raise Unexplained("flows still differ after the repair: somebody else keeps changing them")


def _record(
    expected: ExpectedState, verifier: Verifier, dpid: int, each: FlowDifference
) -> dict[str, object]:
    managed, names = expected.engine.bridges[dpid], verifier.names(dpid)
    keys = {flow.cookie: key for key, flow in managed.compiler.flows.items()}
    owners = managed.compiler.owners(keys[each.cookie]) if each.cookie in keys else []
    return {
        "bridge": managed.bridge.name,
        "difference": str(each.kind),
        "table": table_name(each.table),
        "flow": names.annotate(each.spot),
        "installed": None if each.installed is None else names.annotate(each.installed),
        "expected": None if each.expected is None else names.annotate(each.expected),
        "for": [names.owner(owner) for owner in owners],
        "cookie": f"{each.cookie:#018x}",
        "removal": removal(managed.bridge.name, each) if each.kind is DifferenceKind.BYPASS else None,
    }


def _print(records: list[dict[str, object]], counts: dict[str, int]) -> None:
    for record in records:
        what = f"{record['bridge']}: {record['difference']}: {record['table']} {record['flow']}"
        states = [f"{word} {record[word]}" for word in ("installed", "expected") if record[word] is not None]
        purpose = f" (for {show(record['for'])})" if record["for"] else ""
        click.echo(printable(f"{what}: {', '.join(states)}{purpose}"))
        if record["removal"] is not None:
            click.echo(printable(f"  it is somebody else's; to remove it: {record['removal']}"))
    for bridge, count in counts.items():
        differences = "1 difference" if count == 1 else f"{count} differences"
        click.echo(f"{bridge}: {differences if count else 'as expected'}")
