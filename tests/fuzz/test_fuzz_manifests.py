"""Random and damaged manifests: they are refused with reasons or accepted, and never cause a crash."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from flows.compiler.bridge import LocalState, compile_bridge
from flows.policy.index import Policy as CompiledPolicy
from flows.policy.objects import KINDS, Change, PolicyObject, Rule
from flows.policy.validate import check
from sgctl.service.apply.planner import plan
from sgctl.service.errors import PolicyError
from sgctl.service.manifests.documents import documents
from tests.examples import examples
from tests.unit.manifests_support import Policy

RESTRICTIONS: dict[str, Any] = {
    "protocol": "tcp",
    "port_range_min": 80,
    "port_range_max": 443,
    "remote_ip_prefix": "10.0.0.0/24",
    "ethertype": "IPv4",
    "direction": "ingress",
}
DOCUMENTS: list[dict[str, Any]] = [
    {
        "apiVersion": "sgctl/v1",
        "kind": "Network",
        "metadata": {"name": "blue"},
        "spec": {
            "segmentation_id": 100,
            "subnets": ["10.0.0.0/24", "2001:db8::/64"],
            "egress_default": "deny",
        },
    },
    {
        "apiVersion": "sgctl/v1",
        "kind": "AddressGroup",
        "metadata": {"name": "monitors"},
        "spec": {"addresses": ["192.0.2.0/24", "2001:db8::1"]},
    },
    {
        "apiVersion": "sgctl/v1",
        "kind": "SecurityGroup",
        "metadata": {"name": "web"},
        "spec": {
            "stateful": True,
            "rules": [
                RESTRICTIONS,
                {"direction": "ingress", "protocol": "icmp", "type": 8, "code": 0, "remote_group": "web"},
                {"direction": "ingress", "protocol": "udp", "ports": "6000-6003"},
                {"direction": "egress", "remote_network": "blue"},
                {"direction": "ingress", "protocol": 6, "remote_address_group": "monitors"},
            ],
        },
    },
    {
        "apiVersion": "sgctl/v1",
        "kind": "Port",
        "metadata": {"name": "web1"},
        "spec": {
            "network": "blue",
            "mac_address": "02:00:00:00:00:01",
            "fixed_ips": ["10.0.0.1"],
            "security_groups": ["web"],
            "allowed_address_pairs": [{"ip_address": "10.0.0.100"}],
        },
    },
]
TEXT = yaml.safe_dump_all(DOCUMENTS, sort_keys=False)
WORDS = [
    "",
    "null",
    "~",
    "-1",
    "65536",
    "0",
    "1e9",
    "yes",
    "[]",
    "{}",
    "&a",
    "*a",
    "!!python/name:os.system",
    "::/0",
]
WORDS += [
    "0.0.0.0/0",
    "10.0.0.0/33",
    "any",
    "\t",
    "%",
    "'",
    '"',
    "- ",
    ": ",
    "\x00",
    "\ufeff",
    "é",
    "<<: *a",
    "---",
]


def judge(text: bytes) -> list[PolicyObject] | None:
    """The resulting policy; None if it was refused. Any exception but PolicyError fails the test."""
    policy, refused = Policy(), None
    try:
        policy.carry_out(plan(policy.snapshot, documents(text, "fuzz.yaml")))
    except PolicyError as error:
        refused = error
    if refused is not None:
        assert refused.findings
        assert all("\n" not in str(finding) for finding in refused.findings)
        return None
    objects = [obj for kind in KINDS for obj in policy.objects[kind].values()]
    assert [problem for obj in objects for problem in check(obj)] == []
    compiled(objects)
    return objects


def compiled(objects: list[PolicyObject]) -> None:
    """An accepted policy can be compiled."""
    policy = CompiledPolicy()
    policy.apply(Change(None, obj) for obj in objects)
    zones = {network: 1 + number for number, network in enumerate(policy.networks)}
    compile_bridge(policy, LocalState(dict(enumerate(policy.ports, 1)), {99: frozenset(zones)}, zones))


def test_the_seed_is_accepted() -> None:
    objects = judge(TEXT.encode())
    assert objects is not None
    assert {type(obj) for obj in objects} == set(KINDS)


@settings(max_examples=examples(400))
@given(st.integers(0, 2**32))
def test_damaged_text(seed: int) -> None:
    random, text = Random(seed), TEXT
    for _ in range(random.choice([1, 1, 1, 2, 5, 20])):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice([0, 1, 1, 2, 10, 100]))
        text = text[:start] + random.choice([*WORDS, text[start:end] * 2]) + text[end:]
    judge(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=examples(200))
@given(st.binary(max_size=200))
def test_bytes(text: bytes) -> None:
    judge(text)


def scalars() -> SearchStrategy[Any]:
    keys = sorted({key for document in DOCUMENTS for key in document["spec"]} | RESTRICTIONS.keys())
    names = st.sampled_from(["web", "blue", "monitors", "web1", "10.0.0.1", *keys, *WORDS])
    return st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), names
    )


ANYTHING = st.recursive(
    scalars(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(400))
@given(st.integers(0, 2**32), ANYTHING)
@example(0, {"\n": None})
def test_any_value_in_place_of_another(seed: int, value: object) -> None:
    """A value of any type, anywhere in a valid document."""
    random = Random(seed)
    chosen = yaml.safe_load_all(TEXT)
    copies: list[Any] = list(chosen)
    where = copies[random.randrange(len(copies))]
    while True:
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        key = random.choice(keys)
        if not isinstance(where[key], dict | list) or not where[key] or random.random() < 0.2:
            where[key] = value
            break
        where = where[key]
    judge(yaml.safe_dump_all(copies, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass"))


def rules_of(rule: dict[str, Any]) -> list[Rule] | None:
    """The rules that result from one rule in a manifest; None if it is refused."""
    document = {**DOCUMENTS[2], "spec": {"rules": [rule]}}
    objects = judge(yaml.safe_dump_all([*DOCUMENTS[:2], document]).encode())
    return None if objects is None else [obj for obj in objects if isinstance(obj, Rule)]


@pytest.mark.parametrize("key", RESTRICTIONS)
@given(wrong=st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=20))
@settings(max_examples=examples(30))
def test_a_restriction_with_a_misspelled_key_is_refused(key: str, wrong: str) -> None:
    known = {"code", "type", "name", "description", "ports", *RESTRICTIONS}
    rule = {wrong if name == key else name: value for name, value in RESTRICTIONS.items()}
    if wrong not in known and not wrong.startswith("remote_"):
        assert rules_of(rule) is None


@pytest.mark.parametrize("key", RESTRICTIONS)
@given(value=scalars())
@settings(max_examples=examples(60))
def test_a_restriction_with_a_wild_value_never_permits_everything(key: str, value: object) -> None:
    """It is refused, or the rule has the same restriction."""
    rules = rules_of({**RESTRICTIONS, key: value})
    for rule in rules or []:
        assert rule.protocol is not None or (key == "protocol" and value in (None, "any", "null", "~"))
        assert rule.remote_ip_prefix is not None or key == "remote_ip_prefix"
        if key == "remote_ip_prefix" and rule.remote_ip_prefix is not None:
            assert str(rule.remote_ip_prefix).partition("/")[0] in str(value)
        if rule.protocol == 6 and key in ("port_range_min", "port_range_max"):
            assert rule.port_range_min is not None
            assert rule.port_range_max is not None
