"""`sgctl trace`: whether a packet is allowed, and why."""

from __future__ import annotations

from typing import Any

import click

from flows.reference.frame import Frame
from flows.reference.verdict import Packet, PolicyText, State
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.completers import names_of
from sgctl.cli.explaining import expected_state, explained, stored_policy, switch_tools
from sgctl.cli.options import output_option
from sgctl.cli.output.render import print_json
from sgctl.cli.service_options import read_service, service_options
from sgctl.explain.answer import Answer, answer, describe_packet
from sgctl.explain.expected import Unexplained, text_of
from sgctl.explain.flow_names import FlowNames
from sgctl.explain.frame_answer import FrameAnswer, answer_frame, describe_frame
from sgctl.explain.frame_parser import frame_bytes
from sgctl.explain.path import Path, Tracer, read_path
from sgctl.explain.question import ERRORS, Error, ask, ask_error, ask_frame
from sgctl.service.errors import printable

DISAGREES, DENIED = 3, 4
"""Exit statuses of a trace."""
_EXIT_STATUSES = f"""\b
Exit status:
  0  allowed
  {DENIED}  denied
  {DISAGREES}  switch and policy disagree"""
ALLOWED = "allowed"


@click.command(epilog=_EXIT_STATUSES)
@click.argument("source", metavar="FROM", shell_complete=names_of(kinds.PORTS))
@click.argument("destination", metavar="[TO]", required=False, shell_complete=names_of(kinds.PORTS))
@service_options("a ping")
@click.option("-6", "--ipv6", is_flag=True, help="Use IPv6 if the ends have addresses of both families.")
@click.option(
    "--source-port", metavar="PORT", type=click.IntRange(0, 65535), help="The source port of the connection."
)
@click.option(
    "--established", is_flag=True, help="Ask about a later packet of a connection that FROM opened."
)
@click.option(
    "--reply", is_flag=True, help="Ask about a reply of FROM in a connection that TO opened to --port."
)
@click.option(
    "--error",
    metavar="KIND",
    help="Ask about an ICMP error from FROM to TO about their connection, such as port-unreachable, "
    "packet-too-big or time-exceeded. FROM opened the connection, or with --reply TO did.",
)
@click.option(
    "--by",
    metavar="ROUTER",
    help="The port or address that sends the error instead of FROM.",
    shell_complete=names_of(kinds.PORTS),
)
@click.option(
    "--frame",
    metavar="HEX",
    help="Ask about a raw Ethernet frame that FROM sends, instead of TO and a service.",
)
@click.option("--on-switch", is_flag=True, help="Also ask this machine's switches, and compare.")
@output_option("text", "json")
@click.pass_context
@pass_session
def trace(
    session: CommandSession, context: click.Context, /, output: str, on_switch: bool, **asked: Any
) -> None:
    """Show whether a packet from FROM to TO is allowed, why, and which change would allow it.

    FROM and TO are ports by name, id or address, or addresses outside. The verdict is that of the policy;
    --on-switch also follows the packet through the flows of this machine's switches.
    """
    with explained():
        text = text_of(stored_policy(session))
        subject, raw = _subject(text, session.project, **asked)
        record = _record(text, subject)
        ways = _ways(session, subject, raw) if on_switch else []
    record["switches"] = [_switch_record(*way) for way in ways]
    if output == "json":
        print_json(record)
    else:
        _print(record)
    disagrees = any(way[2] for way in ways)
    context.exit(DISAGREES if disagrees else 0 if record["verdict"] == ALLOWED else DENIED)


def _subject(
    text: PolicyText, project: str, source: str, destination: str | None, frame: str | None, **asked: Any
) -> tuple[Packet | Frame, bytes | None]:
    """The packet or frame to ask about, and the bytes of a raw frame. Raises click.UsageError."""
    if frame is None:
        if destination is None:
            raise click.UsageError("give TO, or --frame")
        return _packet(text, project, (source, destination), **asked), None
    state = _state(asked.pop("established"), asked.pop("reply"))
    if destination is not None or any(value not in (None, False) for value in asked.values()):
        raise click.UsageError("--frame states the whole packet: it goes with neither TO nor a service")
    return ask_frame(text, source, frame, state, project), frame_bytes(frame)


def _packet(text: PolicyText, project: str, ends: tuple[str, str], **asked: Any) -> Packet:
    error, version = (
        _error(asked.pop("error"), asked.pop("by"), asked["reply"]),
        6 if asked.pop("ipv6") else None,
    )
    state = _state(asked.pop("established"), asked.pop("reply"))
    service = read_service(**asked)
    if error is not None:
        return ask_error(text, ends, service, version, error, project)
    return ask(text, ends, service, version, state, project)


def _error(kind: str | None, by: str | None, reply: bool) -> Error | None:
    if kind is None:
        if by is not None:
            raise click.UsageError("--by goes with --error")
        return None
    if kind not in ERRORS:
        raise click.BadParameter(f"{kind!r} is not an ICMP error; use one of {', '.join(sorted(ERRORS))}")
    return Error(kind, by, reply)


def _state(established: bool, reply: bool) -> State:
    if established and reply:
        raise click.UsageError("a packet is either --established or a --reply")
    return State.REPLY if reply else State.ESTABLISHED if established else State.NEW


def _ways(session: CommandSession, subject: Packet | Frame, raw: bytes | None) -> list[tuple[str, Path, str]]:
    """Bridge, path and disagreement, for each of this machine's bridges that the packet passes."""
    expected, tools, ways = expected_state(session), switch_tools(session), []
    fields = tools.fields(raw) if raw is not None else None
    for dpid in expected.managed(None):
        managed = expected.engine.bridges[dpid]
        tracer = Tracer(expected.text, managed)
        if tracer.concerns(subject):
            name = managed.bridge.name
            output = tools.trace(name, *tracer.question(subject, fields))
            path = read_path(output, FlowNames(expected.engine.policy, managed))
            ways.append((name, path, tracer.disagreement(subject, path)))
    if not ways:
        raise Unexplained("neither end is bound to a bridge of this machine")
    return ways


def _record(text: PolicyText, subject: Packet | Frame) -> dict[str, Any]:
    rules: dict[str, list[int]] = {"sender": [], "receiver": []}
    notes: tuple[str, ...] = ()
    said: Answer | FrameAnswer
    if isinstance(subject, Frame):
        said, described = answer_frame(text, subject), describe_frame(text, subject)
    else:
        said = judged = answer(text, subject)
        described, notes = describe_packet(text, subject), judged.notes
        for side, grant in (("sender", said.verdict.sender), ("receiver", said.verdict.receiver)):
            rules[side] = sorted(text.rules[rule].number for rule in grant.rules) if grant else []
    refusal = said.verdict.refusal
    return {
        "packet": described,
        "verdict": ALLOWED if said.verdict.allowed else "denied",
        "refusal": None if refusal is None else refusal.name.lower(),
        "rules": rules,
        "reasons": list(said.reasons),
        "changes": list(said.changes),
        "notes": list(notes),
    }


def _switch_record(bridge: str, path: Path, disagreement: str) -> dict[str, Any]:
    return {
        "bridge": bridge,
        "outputs": sorted(path.outputs),
        "dropped": path.reason.name if path.reason is not None else None,
        "disagreement": disagreement or None,
        "path": list(path.lines),
    }


def _print(record: dict[str, Any]) -> None:
    click.echo(printable(f"{record['packet']}: {record['verdict']}"))
    for reason in record["reasons"]:
        click.echo(printable(f"  {reason}"))
    if record["changes"]:
        click.echo("to allow it:")
    for change in record["changes"]:
        click.echo(printable(f"  {change}"))
    for note in record["notes"]:
        click.echo(printable(f"note: {note}"))
    for switch in record["switches"]:
        click.echo(f"\nbridge {switch['bridge']}:")
        for line in switch["path"]:
            click.echo(printable(f"  {line}"))
        if switch["disagreement"]:
            mark = click.style("THE SWITCH DISAGREES WITH THE POLICY", fg="red", bold=True)
            click.echo(f"{mark}: {printable(switch['disagreement'])}")
        else:
            click.echo("the switch agrees")
