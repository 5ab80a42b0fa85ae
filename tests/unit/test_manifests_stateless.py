from __future__ import annotations

from tests.unit.manifests_support import Policy

MIXED = """\
kind: Network
apiVersion: sgctl/v1
metadata: {name: blue}
---
kind: SecurityGroup
apiVersion: sgctl/v1
metadata: {name: kept}
---
kind: SecurityGroup
apiVersion: sgctl/v1
metadata: {name: loose}
spec: {stateful: %s}
---
kind: Port
apiVersion: sgctl/v1
metadata: {name: one}
spec: {network: blue, security_groups: [kept, loose]}
"""


def test_stateful_and_stateless_groups_do_not_mix_on_a_port() -> None:
    policy = Policy()
    assert policy.problems(MIXED % "false") == [
        (17, "spec.security_groups", "stateless groups (loose) and stateful ones (kept)")
    ]
    policy.apply(MIXED % "true")
    loose = "apiVersion: sgctl/v1\nkind: SecurityGroup\nmetadata: {name: loose}\nspec: {stateful: false}\n"
    assert policy.problems(loose) == [
        (4, "spec.stateful", "port one has stateless groups (loose) and stateful ones (kept)")
    ]
