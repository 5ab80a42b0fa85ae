"""`sgctl security-group rule`."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from sgctl.cli import kinds
from sgctl.cli.completion import names_of
from sgctl.cli.nouns.noun import (
    Noun,
    Options,
    delete_command,
    list_command,
    option,
    present,
    show_command,
)
from sgctl.cli.options import output_option, wait_options
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from flows.model import Rule
    from sgctl.service.draft import Draft


@click.group()
def rule() -> None:
    """Make, change and show the rules of security groups."""


@rule.command()
@click.argument("group", shell_complete=names_of(kinds.SECURITY_GROUPS))
@click.option(
    "--ingress", "direction", flag_value="ingress", default="ingress", help="To the members. The default."
)
@click.option("--egress", "direction", flag_value="egress", help="From the members.")
@click.option(
    "--ethertype",
    type=click.Choice(["IPv4", "IPv6"], case_sensitive=False),
    help="Default: the family of the remote address or of the protocol, else IPv4.",
)
@click.option("--protocol", metavar="PROTOCOL", help="Name or number, or any. Default: any.")
@click.option("--dst-port", metavar="PORT[:PORT]", help="One port or a range, both ends in it.")
@click.option("--icmp-type", type=click.IntRange(0, 255), help="ICMP type.")
@click.option("--icmp-code", type=click.IntRange(0, 255), help="ICMP code; needs a type.")
@click.option("--remote-ip", metavar="CIDR", help="Only to or from these addresses.")
@click.option(
    "--remote-group",
    metavar="GROUP",
    help="Only to or from the members of this group.",
    shell_complete=names_of(kinds.SECURITY_GROUPS),
)
@click.option(
    "--remote-address-group",
    metavar="GROUP",
    help="Only to or from this address group.",
    shell_complete=names_of(kinds.ADDRESS_GROUPS),
)
@click.option(
    "--remote-network",
    metavar="NETWORK",
    help="Only to or from the subnets of this network.",
    shell_complete=names_of(kinds.NETWORKS),
)
@click.option("--name", metavar="NAME", help="What to call it.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--tag", metavar="TAG", multiple=True, help="A tag. May be repeated.")
@click.option("--project", metavar="PROJECT", help="The project it belongs to. Default: its group's.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def create(session: Session, /, group: str, **options: Any) -> None:
    """Permit something more to the members of GROUP."""
    from flows.model import SecurityGroup
    from sgctl.service.manifests.amend import plan_new_rule

    identifier, spec, project = str(uuid4()), _spec(options), options["project"]
    holder = session.find(SecurityGroup, group).id
    committed = session.transact(lambda objects: plan_new_rule(objects, holder, identifier, spec, project))
    present(session, kinds.RULES, identifier, committed, options)


def _spec(options: Options) -> dict[str, Any]:
    """The options as an item of a manifest's rules."""
    ports, ethertype = options["dst_port"], options["ethertype"]
    stated = {
        "direction": options["direction"],
        "ethertype": {"ipv4": "IPv4", "ipv6": "IPv6"}[ethertype.lower()] if ethertype else None,
        "protocol": options["protocol"],
        "ports": ports.replace(":", "-") if ports else None,
        "type": options["icmp_type"],
        "code": options["icmp_code"],
        "remote_ip_prefix": options["remote_ip"],
        "remote_group": options["remote_group"],
        "remote_address_group": options["remote_address_group"],
        "remote_network": options["remote_network"],
        "name": options["name"],
        "description": options["description"],
        "tags": list(dict.fromkeys(options["tag"])) or None,
    }
    return {key: value for key, value in stated.items() if value is not None}


@rule.command("set")
@click.argument("reference", metavar="RULE", shell_complete=names_of(kinds.RULES))
@click.option("--name", metavar="NAME", help="Its new name.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--no-tag", is_flag=True, help="Take all tags off first.")
@click.option("--tag", metavar="TAG", multiple=True, help="A tag more. May be repeated.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def set_(session: Session, /, reference: str, **options: Any) -> None:
    """Change what a rule is called. To permit something else, make another rule."""

    def edit(old: Rule) -> Rule:
        meta, name, description = old.meta, options["name"], options["description"]
        tags = (frozenset() if options["no_tag"] else meta.tags) | set(options["tag"])
        text = meta.description if description is None else description
        meta = replace(meta, description=text, tags=frozenset(tags))
        return replace(old, name=old.name if name is None else name, meta=meta)

    _note(session, reference, edit, options)


@rule.command()
@click.argument("reference", metavar="RULE", shell_complete=names_of(kinds.RULES))
@click.option("--all-tag", is_flag=True, help="Take off all tags.")
@click.option("--tag", metavar="TAG", multiple=True, help="Take off this tag. May be repeated.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def unset(session: Session, /, reference: str, **options: Any) -> None:
    """Take tags off a rule."""

    def edit(old: Rule) -> Rule:
        missing = set(options["tag"]) - old.meta.tags
        if missing:
            raise Failure(f"Rule {reference}: {', '.join(sorted(missing))} is not among its tags")
        tags = frozenset() if options["all_tag"] else old.meta.tags - set(options["tag"])
        return replace(old, meta=replace(old.meta, tags=tags))

    _note(session, reference, edit, options)


def _note(session: Session, reference: str, edit: Callable[[Rule], Rule], options: Options) -> None:
    from flows.model import Rule
    from sgctl.service.manifests.amend import plan_rule_notes

    identifier = session.find(Rule, reference).id
    committed = session.transact(lambda objects: plan_rule_notes(objects, identifier, edit))
    present(session, kinds.RULES, identifier, committed, options)


def _keep(draft: Draft, options: Options) -> Callable[[Mapping[str, Any]], bool]:
    from flows.model import SecurityGroup
    from sgctl.cli.lookup import find
    from sgctl.service import protocols

    group, protocol = options["group"], options["protocol"]
    wanted: dict[str, object] = {}
    if group is not None:
        wanted["security_group_id"] = find(draft, SecurityGroup, group).id
    if options["direction"] is not None:
        wanted["direction"] = options["direction"]
    if options["ethertype"] is not None:
        wanted["ethertype"] = options["ethertype"]
    if protocol is not None:
        try:
            wanted["protocol"] = protocols.show(protocols.parse(protocol))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--protocol") from error
    return lambda record: all(record[field] == value for field, value in wanted.items())


_LIST = Noun(
    kinds.RULES,
    fill=lambda *_: None,
    clear=lambda *_: None,
    keep=_keep,
    filters=(
        option("--ingress", "direction", flag_value="ingress", default=None, help="Only ingress rules."),
        option("--egress", "direction", flag_value="egress", help="Only egress rules."),
        option("--protocol", help="Only rules for this protocol."),
        option("--ethertype", type=click.Choice(["IPv4", "IPv6"]), help="Only rules of this family."),
    ),
)
_GROUP = click.Argument(["group"], required=False, shell_complete=names_of(kinds.SECURITY_GROUPS))

rule.add_command(delete_command(kinds.RULES))
rule.add_command(show_command(kinds.RULES))
rule.add_command(list_command(_LIST, _GROUP))
