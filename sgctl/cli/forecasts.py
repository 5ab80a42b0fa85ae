"""Forecasts as plain data."""

from __future__ import annotations

from typing import Any

from flows.model import Rule, SecurityGroup
from flows.verdict import Conversation
from sgctl.cli.records import rule_record
from sgctl.cli.session import Session, plain_failures
from sgctl.cli.words import sentence
from sgctl.explain.expected import Unexplained
from sgctl.forecast.connections import Connection, Cut, parse
from sgctl.forecast.fleet import Fleet, SwitchForecast
from sgctl.forecast.report import Forecast, RuleForecast, forecast
from sgctl.service import protocols
from sgctl.service.draft import Draft
from sgctl.service.names import reference_to
from sgctl.service.plan import Plan


def look_ahead(session: Session, plan: Plan) -> Forecast:
    """What a plan would do, as far as can be told from here."""
    store, local = session.store, session.local_if_any
    zones = {}
    if local is not None:
        zones = {zone: key[2] for key, zone in store.zones.items() if key[0] == local.chassis}
    fleet = Fleet(store, local)
    with plain_failures():
        connections = _connections(session) if local else None
        return forecast(store.objects, plan, fleet, connections, zones, store.bound_ports)


def _connections(session: Session) -> list[Connection] | None:
    try:
        return parse(session.tools.connections())
    except Unexplained:
        return None


def record(plan: Plan, found: Forecast, flows: bool) -> dict[str, Any]:
    """The whole forecast, with the flows themselves where they are asked for."""
    return {
        "objects": [
            {"kind": each.kind, "name": each.name, "action": str(each.action), "detail": each.detail}
            for each in plan.outcomes
        ],
        "switches": [_switch(each, flows) for each in found.switches],
        "rules": [_rule(found, each) for each in found.rules],
        "connections_cut": None if found.cut is None else [_cut(each) for each in found.cut],
        "advice": [
            {
                **_named(found.after, found.before, each.rule),
                "flaw": str(each.flaw),
                "reason": _without_pretence(found, each.reason),
            }
            for each in found.advice
        ],
    }


def _switch(each: SwitchForecast, flows: bool) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "switch": each.switch,
        "before": each.before,
        "after": each.after,
        "added": len(each.added),
        "removed": len(each.removed),
        "changed": len(each.changed),
    }
    if flows:
        marked = (("+", each.added), ("-", each.removed), ("~", each.changed))
        stated["flows"] = [f"{mark} {flow.text(names=True)}" for mark, some in marked for flow in some]
    return stated


def _rule(found: Forecast, each: RuleForecast) -> dict[str, Any]:
    draft = found.after if each.is_new else found.before
    return {
        "change": "added" if each.is_new else "removed",
        **_named(draft, found.before, each.rule),
        "flows": each.cost.flows,
        "flows_alone": each.cost.alone,
    }


def _named(draft: Draft, before: Draft, rule: Rule) -> dict[str, Any]:
    """A rule that is not stored has no number yet."""
    stored = before.get(Rule, rule.id) is not None
    return {
        "rule": str(rule.number) if stored else "new",
        "name": rule.name,
        "security_group": reference_to(draft, SecurityGroup, rule.group_id),
        "sentence": sentence(rule_record(draft, rule)),
    }


def _without_pretence(found: Forecast, reason: str) -> str:
    """The number that a new rule has for the time of the forecast is not one to print."""
    for rule in found.after.all(Rule):
        if found.before.get(Rule, rule.id) is None and reason.startswith(f"rule {rule.number} "):
            return f"a new rule ({sentence(rule_record(found.after, rule))})" + reason.removeprefix(
                f"rule {rule.number}"
            )
    return reason


def _cut(cut: Cut) -> dict[str, Any]:
    return {
        "network": cut.network,
        "source": cut.source,
        "destination": cut.destination,
        "connection": _connection(cut),
        "reason": cut.reason,
    }


def _connection(cut: Cut) -> str:
    """`tcp 10.0.0.1:40000 (web1) to 10.0.0.2:80 (web2)`."""
    header: Conversation = cut.conversation
    ports = (header.first, header.second) if header.protocol not in (1, 58) else (0, 0)
    ends = []
    names = (cut.source, cut.destination)
    for address, port, name in zip((header.source, header.destination), ports, names, strict=True):
        text = f"[{address}]" if address.version == 6 and port else str(address)
        ends.append(f"{text}{f':{port}' if port else ''} ({name or 'outside'})")
    return f"{protocols.show(header.protocol)} {' to '.join(ends)}"
