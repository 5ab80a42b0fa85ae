"""The end of the rule numbers: a number is never used twice, so they can run out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flows.policy.objects import Rule
from flows.policy.validate import MAX_RULE_NUMBER
from sgctl.store import Store, StoreError
from tests.store.samples import create, group, rule


def test_when_all_rule_numbers_are_used_up_a_rule_is_refused(
    store: Store, transact: Callable[..., list[dict[str, Any]]]
) -> None:
    web = group()
    store.commit(create(web))
    last = {"op": "update", "table": "Global", "where": [], "row": {"next_rule_number": MAX_RULE_NUMBER - 1}}
    transact(last)
    store.run()
    store.commit(create(rule(web, protocol=6)))
    assert [each.number for each in store.objects[Rule].values()] == [MAX_RULE_NUMBER - 1]
    generation = store.generation
    for _ in range(2):
        with pytest.raises(StoreError, match="all rule numbers are used up"):
            store.commit(create(rule(web, protocol=17)))
    assert store.generation == generation
    assert len(store.objects[Rule]) == 1
