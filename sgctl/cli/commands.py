"""The table of all commands: the name, the place of the code, and the short help text.

A new command needs a line here and a module in `verbs` or `nouns`.
"""

from __future__ import annotations

import click

from sgctl.cli import kinds
from sgctl.cli.lazy import LazyCommand, LazyGroup

_NOUNS = "sgctl.cli.nouns"
_VERBS = "sgctl.cli.verbs"


def _verb(name: str, short_help: str) -> LazyCommand:
    """`sgctl NAME`, from `verbs/NAME.py`."""
    return LazyCommand(name, f"{_VERBS}.{name}:{name}", short_help)


def _noun(kind: kinds.ObjectKind, text: str, *others: click.Command, own_edits: bool = False) -> LazyGroup:
    """`sgctl NOUN VERB`, from `nouns/NOUN.py`.

    `create`, `set` and `unset` are those of all kinds with manifests. With `own_edits` they are in
    `nouns/NOUN_editing.py`.
    """
    module = f"{_NOUNS}.{kind.singular.replace('-', '_')}"
    edits = _own_edits(kind, f"{module}_editing") if own_edits else _manifest_edits(kind, f"{module}:NOUN")
    return LazyGroup(
        kind.singular,
        [
            *edits,
            LazyCommand(
                "delete", f"{_NOUNS}.deleting:delete_command", f"Delete {kind.many}.", f"{module}:NOUN"
            ),
            LazyCommand("list", f"{_NOUNS}.showing:list_command", f"List {kind.many}.", f"{module}:NOUN"),
            LazyCommand(
                "show", f"{_NOUNS}.showing:show_command", f"Show every field of {kind.one}.", f"{module}:NOUN"
            ),
            *others,
        ],
        help=text,
    )


def _manifest_edits(kind: kinds.ObjectKind, noun: str) -> list[LazyCommand]:
    place = f"{_NOUNS}.editing"
    return [
        LazyCommand("create", f"{place}:create_command", f"Create {kind.one}.", noun),
        LazyCommand("set", f"{place}:set_command", f"Change {kind.one}.", noun),
        LazyCommand("unset", f"{place}:unset_command", f"Remove attributes from {kind.one}.", noun),
    ]


def _own_edits(kind: kinds.ObjectKind, module: str) -> list[LazyCommand]:
    return [
        LazyCommand("create", f"{module}:create", f"Create {kind.one}."),
        LazyCommand("set", f"{module}:set_", f"Change {kind.one}."),
        LazyCommand("unset", f"{module}:unset", f"Remove attributes from {kind.one}."),
    ]


COMMANDS: list[click.Command] = [
    _noun(kinds.ADDRESS_GROUPS, "Create, change and show address groups."),
    _noun(kinds.NETWORKS, "Create, change and show networks."),
    _noun(
        kinds.PORTS,
        "Create, change and show ports, and bind interfaces to them.",
        LazyCommand("bind", f"{_NOUNS}.port_binding:bind", "Bind INTERFACE to a port."),
        LazyCommand("unbind", f"{_NOUNS}.port_binding:unbind", "Unbind a port from its interface."),
    ),
    _noun(
        kinds.SECURITY_GROUPS,
        "Create, change and show security groups and their rules.",
        _noun(kinds.RULES, "Create, change and show the rules of security groups.", own_edits=True),
    ),
    _noun(
        kinds.SUBNETS,
        "Create, change and show the subnets of networks.\n\n"
        "New ports get addresses from a subnet's pools. Gateway, name servers and DHCP are stored for the "
        "programs that serve them.",
        own_edits=True,
    ),
    LazyGroup(
        "uplink",
        [
            LazyCommand("list", f"{_NOUNS}.uplink:list_", "List the uplinks of this machine."),
            LazyCommand("set", f"{_NOUNS}.uplink:set_", "Declare INTERFACE an uplink of networks."),
            LazyCommand("unset", f"{_NOUNS}.uplink:unset", "Declare that INTERFACE is no longer an uplink."),
        ],
        short_help="Declare the uplinks of this machine.",
        help="Declare the uplinks of this machine: interfaces that lead to hosts sgctl does not manage.",
    ),
    LazyGroup(
        "reach",
        [
            LazyCommand("from", f"{_VERBS}.reach:reach_from", "Show where PORT can open connections to."),
            LazyCommand("to", f"{_VERBS}.reach:reach_to", "Show who can open connections to PORT."),
        ],
        short_help="Show who can open connections to whom.",
        help="Show who can open connections to whom, for all ports of a network at once.\n\n"
        "Without a service, all services are listed: for each port, the protocols with their port numbers. "
        "--protocol alone lists the services of one protocol; --port or --icmp-type asks about one service.",
    ),
    _verb("apply", "Apply the manifests in FILE to the policy."),
    _verb("completion", "Print the completion script of a shell."),
    _verb("delete", "Delete objects by name, or those in the manifests in FILE."),
    _verb("describe", "Show everything about one object."),
    _verb("diff", "Show what apply would change, as a unified diff."),
    _verb("edit", "Edit the manifest of one object with $EDITOR."),
    _verb("export", "Print the policy as manifests that apply accepts."),
    _verb("flows", "Show the flows on this machine's switches, with names."),
    _verb("get", "Show objects, all of a kind or by name."),
    _verb("plan", "Show what apply would do to flows and connections."),
    _verb("status", "Show whether the policy is enforced."),
    _verb("trace", "Show whether a packet is allowed, and why."),
    _verb("verify", "Compare this machine's flows with the policy."),
    _verb("version", "Print the version of sgctl."),
    _verb("wait", "Wait until every switch has applied the policy."),
]
