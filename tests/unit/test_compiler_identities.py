from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.compiler.identities import LocalSet, content_number, local_number
from flows.openflow.registers import FIRST_IDENTITY, UNRESTRICTED
from flows.policy.objects import EgressDefault

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
SETS = st.frozensets(NAMES, max_size=6)


@given(st.lists(NAMES, unique=True), st.randoms())
def test_a_set_has_one_number_whatever_its_order(parts: list[str], random: object) -> None:
    assert content_number(parts) == content_number(reversed(parts)) == content_number(sorted(parts))


@given(SETS, SETS)
def test_different_sets_have_different_numbers(one: frozenset[str], other: frozenset[str]) -> None:
    assert (content_number(one) == content_number(other)) == (one == other)


def test_sets_with_the_same_concatenation_have_different_numbers() -> None:
    assert len({content_number(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["a", "b", "c"])}) == 4


@given(SETS)
def test_numbers_have_64_bits_and_are_not_reserved_ones(parts: frozenset[str]) -> None:
    assert FIRST_IDENTITY <= content_number(parts) < 1 << 64


def test_numbers_survive_a_restart() -> None:
    """The values must never change: other hosts and later versions must compute the same identities."""
    assert content_number(["a", "b"]) == 0xFFC151170352BAA3


@given(SETS, st.sampled_from(EgressDefault), st.booleans())
def test_an_identity_depends_on_everything_that_decides_the_rules(
    groups: frozenset[str], default: EgressDefault, stateless: bool
) -> None:
    number = local_number(LocalSet(groups, default, stateless=stateless))
    assert number != UNRESTRICTED
    assert number != local_number(LocalSet(groups | {"one more"}, default, stateless=stateless))
    others = [each for each in EgressDefault if each is not default]
    assert number not in {local_number(LocalSet(groups, other, stateless=stateless)) for other in others}


def test_ports_without_security_share_one_identity() -> None:
    one, other = LocalSet(frozenset(), unrestricted=True), LocalSet(frozenset("g"), unrestricted=True)
    assert local_number(one) == local_number(other) == UNRESTRICTED
