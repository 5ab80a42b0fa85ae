"""Scenario files: reading and checking them (docs/topologies.md)."""

from lab.scenario.load import TOPOLOGIES, find, load
from lab.scenario.model import (
    Cell,
    Edit,
    Expectation,
    ExpectedVerdict,
    Scenario,
    ScenarioError,
    Step,
    Topology,
)
from lab.scenario.policy import drop_rule, list_rules

__all__ = [
    "TOPOLOGIES",
    "Cell",
    "Edit",
    "Expectation",
    "ExpectedVerdict",
    "Scenario",
    "ScenarioError",
    "Step",
    "Topology",
    "drop_rule",
    "find",
    "list_rules",
    "load",
]
