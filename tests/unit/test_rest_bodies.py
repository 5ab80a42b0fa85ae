"""Bodies are checked by the schema that their route declares, however they are nested."""

from __future__ import annotations

import sys

import pytest

from sgctl.rest.compute import ROUTES as COMPUTE
from sgctl.rest.errors import ApiError
from sgctl.rest.http import Json
from sgctl.rest.identity import ROUTES as IDENTITY
from sgctl.rest.routing import Route
from sgctl.rest.schemas import Checker, check

CHECKED = [route for route in (*COMPUTE, *IDENTITY) if route.request is not None]


def nested(depth: int) -> Json:
    body: Json = []
    for _ in range(depth):
        body = [body]
    return body


@pytest.mark.parametrize("route", CHECKED, ids=lambda route: route.path)
def test_no_depth_of_nesting_is_an_error_of_ours(route: Route) -> None:
    """At some depth the body can be read, but not written into the text of an error."""
    assert route.request is not None
    checker = Checker(route.request)
    for depth in range(sys.getrecursionlimit()):
        with pytest.raises(ApiError) as caught:
            check(checker, nested(depth))
        assert caught.value.status == 400
