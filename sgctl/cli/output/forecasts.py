"""Forecasts as plain data."""

from __future__ import annotations

from typing import Any

from flows.policy.objects import Rule, SecurityGroup
from flows.reference.verdict import Conversation
from sgctl.cli.output.records import rule_record
from sgctl.cli.output.text import sentence
from sgctl.forecast.conntrack import Cut
from sgctl.forecast.fleet import SwitchForecast
from sgctl.forecast.report import Forecast, RuleForecast
from sgctl.service import protocols
from sgctl.service.draft import Draft
from sgctl.service.names import reference_to
from sgctl.service.plan import Plan


def record(plan: Plan, found: Forecast, flows: bool) -> dict[str, Any]:
    """The whole forecast; `flows` adds the text of every flow."""
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
                "reason": _without_number(found, each.reason),
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
    """The name of a rule; a rule that is not stored has no number yet."""
    stored = before.get(Rule, rule.id) is not None
    return {
        "rule": str(rule.number) if stored else "new",
        "name": rule.name,
        "security_group": reference_to(draft, SecurityGroup, rule.group_id),
        "sentence": sentence(rule_record(draft, rule)),
    }


def _without_number(found: Forecast, reason: str) -> str:
    """The reason, without the number that a new rule has only during the forecast."""
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
