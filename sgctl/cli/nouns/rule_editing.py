"""`create`, `set` and `unset` of `sgctl security-group rule`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import click

from flows.policy.objects import Rule, SecurityGroup
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.completers import names_of
from sgctl.cli.nouns import declared
from sgctl.cli.nouns.noun import Options
from sgctl.cli.nouns.showing import present
from sgctl.cli.options import output_option, wait_options
from sgctl.cli.output.terminal import Failure
from sgctl.service.edit.objects import plan_new_rule, plan_rule_notes


@click.command()
@click.argument("group", shell_complete=names_of(kinds.SECURITY_GROUPS))
@click.option(
    "--ingress",
    "direction",
    flag_value="ingress",
    default="ingress",
    help="Traffic to the members. The default.",
)
@click.option("--egress", "direction", flag_value="egress", help="Traffic from the members.")
@click.option(
    "--ethertype",
    type=click.Choice(["IPv4", "IPv6"], case_sensitive=False),
    help="Default: the family of the remote address or of the protocol, else IPv4.",
)
@click.option("--protocol", metavar="PROTOCOL", help="Name or number, or any. Default: any.")
@click.option(
    "--dst-port", metavar="PORT[:PORT]", help="One destination port, or a range that includes both ends."
)
@click.option("--icmp-type", type=click.IntRange(0, 255), help="ICMP type.")
@click.option("--icmp-code", type=click.IntRange(0, 255), help="ICMP code; needs --icmp-type.")
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
@click.option("--name", metavar="NAME", help="A name.")
@click.option("--description", metavar="TEXT", help="A description.")
@click.option("--tag", metavar="TAG", multiple=True, help="A tag. May be repeated.")
@click.option(
    "--project", metavar="PROJECT", help="The project it belongs to. Default: the project of GROUP."
)
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def create(session: CommandSession, /, group: str, **options: Any) -> None:
    """Create a rule of GROUP: permit more traffic to or from its members."""
    identifier, spec, project = str(uuid4()), _spec(options), options["project"]
    holder = session.find(SecurityGroup, group).id
    committed = session.transact(lambda objects: plan_new_rule(objects, holder, identifier, spec, project))
    present(session, kinds.RULES, identifier, committed, options)


_NAME = [each.name for each in create.params].index("name")
create.params[_NAME:_NAME] = declared.edit_options(Rule)


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
    spec = {key: value for key, value in stated.items() if value is not None}
    declared.state(Rule, spec, options)
    return spec


@click.command("set")
@click.argument("reference", metavar="RULE", shell_complete=names_of(kinds.RULES))
@click.option("--name", metavar="NAME", help="The new name.")
@click.option("--description", metavar="TEXT", help="A description.")
@click.option("--no-tag", is_flag=True, help="First remove all tags.")
@click.option("--tag", metavar="TAG", multiple=True, help="A tag to add. May be repeated.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def set_(session: CommandSession, /, reference: str, **options: Any) -> None:
    """Change the name, description or tags of a rule. To permit other traffic, create another rule."""

    def edit(old: Rule) -> Rule:
        meta, name, description = old.meta, options["name"], options["description"]
        tags = (frozenset() if options["no_tag"] else meta.tags) | set(options["tag"])
        text = meta.description if description is None else description
        meta = replace(meta, description=text, tags=frozenset(tags))
        return replace(old, name=old.name if name is None else name, meta=meta)

    _amend(session, reference, edit, options)


@click.command()
@click.argument("reference", metavar="RULE", shell_complete=names_of(kinds.RULES))
@click.option("--all-tag", is_flag=True, help="Remove all tags.")
@click.option("--tag", metavar="TAG", multiple=True, help="Remove this tag. May be repeated.")
@wait_options
@output_option("table", "json", "yaml", "name")
@pass_session
def unset(session: CommandSession, /, reference: str, **options: Any) -> None:
    """Remove tags from a rule."""

    def edit(old: Rule) -> Rule:
        missing = set(options["tag"]) - old.meta.tags
        if missing:
            raise Failure(f"Rule {reference}: {', '.join(sorted(missing))} is not among its tags")
        tags = frozenset() if options["all_tag"] else old.meta.tags - set(options["tag"])
        return replace(old, meta=replace(old.meta, tags=tags))

    _amend(session, reference, edit, options)


def _amend(session: CommandSession, reference: str, edit: Callable[[Rule], Rule], options: Options) -> None:
    identifier = session.find(Rule, reference).id
    committed = session.transact(lambda objects: plan_rule_notes(objects, identifier, edit))
    present(session, kinds.RULES, identifier, committed, options)
