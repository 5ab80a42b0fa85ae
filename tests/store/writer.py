"""A program that commits rules to a group one by one and prints the id of each that was acknowledged.

Arguments: the policy database's remote, the group's id, how many rules.
"""

from __future__ import annotations

import sys
from contextlib import closing

from flows.policy.objects import Change, Direction, Ethertype, Rule
from sgctl.store import Store, StoreError
from tests.store.samples import new_id


def main(remote: str, group: str, count: str) -> None:
    """Write rules; retry a refused or lost commit with the same id, as a service would."""
    with closing(Store.connect(remote)) as store:
        for _ in range(int(count)):
            one = Rule(new_id(), 0, group, Direction.INGRESS, Ethertype.IPV4)
            while one.id not in store.objects[Rule]:
                try:
                    store.commit([Change(None, one)])
                except StoreError as error:
                    print(f"# {error}", flush=True)
                    store.run()
            print(one.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
