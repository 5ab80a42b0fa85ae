"""The table of routes, the OpenAPI document and the running server agree."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sgctl.rest.collection import Collection
from sgctl.rest.routes import ROUTES
from sgctl.rest.routing import PARAMETER, Auth, Route
from tests.api.client import Client, controller_with

OPERATIONS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE")
ANYTHING = "anything"
LONGEST = 6
SAMPLES = 4000


@pytest.fixture(scope="module")
def document(api: Client) -> Any:
    return api("GET", "/openapi.json").document


def operations(document: Any) -> dict[tuple[str, str], Any]:
    return {
        (name.upper(), path): operation
        for path, item in document["paths"].items()
        for name, operation in item.items()
        if name in OPERATIONS
    }


def test_each_route_is_in_the_document_and_each_operation_is_a_route(document: Any) -> None:
    described = operations(document)
    assert len(ROUTES) == len({(route.method, route.path) for route in ROUTES}), "every route is unique"
    assert {(route.method, route.path) for route in ROUTES} == described.keys()
    for service in ("/v2.0/ports", "/compute/v2.1/servers", "/identity/v3/auth/tokens"):
        assert any(path == service for _, path in described)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_matches_its_route(document: Any, route: Route) -> None:
    item = document["paths"][route.path]
    operation = item[route.method.lower()]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    assert body == as_json(route.request)
    success = operation["responses"][str(route.status)]
    answer = success.get("content", {}).get("application/json", {}).get("schema")
    assert answer == as_json(route.response)
    assert {int(status) for status in operation["responses"]} > {route.status, *route.errors}
    assert operation["parameters"] == as_json(list(route.parameters))
    in_path = [each["name"] for each in item.get("parameters", ()) if each["in"] == "path"]
    assert in_path == PARAMETER.findall(route.path)


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_references_in_the_document_have_targets(document: Any) -> None:
    names = set(re.findall(r"#/components/schemas/([a-z_]+)", json.dumps(document)))
    assert names <= document["components"]["schemas"].keys()
    assert {"error", "compute_error", "identity_error", "port"} <= names


class Kept:
    """One connection for many requests."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def close(self) -> None:
        self._connection.close()

    def __call__(self, method: str, path: str) -> tuple[int, list[str], str]:
        """Status, allowed methods and text of the answer."""
        self._connection.request(method, path, b"{}" if method in ("PUT", "POST", "PATCH") else None)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        allow = answer.headers.get("Allow", "")
        return answer.status, [part for part in allow.split(", ") if part], text


@pytest.fixture(scope="module")
def kept(private_network: None) -> Iterator[Kept]:
    with controller_with("--sgctl-api-rate=0") as running:
        kept = Kept(running.wsapi_port)
        yield kept
        kept.close()


def pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


def methods_at(document: Any, path: str) -> set[str]:
    """The methods that the document has for a path; the templates are matched independently of the server."""
    return {method for method, template in operations(document) if pattern(template).fullmatch(path)}


def check(kept: Kept, path: str, described: set[str]) -> None:
    for method in METHODS:
        status, allow, text = kept(method, path)
        if not described:
            assert status == 404, (method, path)
            assert "The resource could not be found" in text, (method, path, text)
        elif method not in described:
            assert (status, set(allow)) == (405, described), (method, path)
        else:
            assert status < 500, (method, path)
            assert status != 405, (method, path)
            assert "The resource could not be found" not in text, (method, path)


def test_the_server_serves_every_documented_operation(kept: Kept, document: Any) -> None:
    for template in document["paths"]:
        path = PARAMETER.sub(ANYTHING, template)
        check(kept, path, methods_at(document, path))


def test_the_server_serves_nothing_else(kept: Kept, document: Any) -> None:
    """Paths from the words of the templates in any order, and from other words."""
    words = {
        word for template in document["paths"] for word in PARAMETER.sub("", template).split("/") if word
    }
    candidates = sorted({*words, ANYTHING, "v3.0", "token", "tags.json", "id"})
    chance = random.Random(13)
    short = [f"/{'/'.join(parts)}" for parts in itertools.product(candidates, repeat=1)]
    long = [
        f"/{'/'.join(chance.choices(candidates, k=length))}"
        for length in range(2, LONGEST)
        for _ in range(SAMPLES // LONGEST // len(METHODS))
    ]
    near = [
        f"{PARAMETER.sub(ANYTHING, template).rstrip('/')}/{word}"
        for template in document["paths"]
        for word in chance.choices(candidates, k=4)
    ]
    for path in [*short, *long, *near]:
        check(kept, path, methods_at(document, path))


def test_only_discovery_needs_no_authentication() -> None:
    """A new route needs authentication unless it is added here."""
    public = {route.path for route in ROUTES if route.auth is Auth.NONE}
    assert public == {
        *("/", "/v2.0", "/openapi.json"),
        *("/compute", "/compute/v2.1", "/identity", "/identity/v3"),
    }
    assert all(route.method == "GET" for route in ROUTES if route.auth is Auth.NONE)
    local = [(route.method, route.path) for route in ROUTES if route.auth is Auth.LOCAL]
    assert local == [("POST", "/identity/v3/auth/tokens")]


def test_handlers_of_one_collection_do_not_serve_another() -> None:
    for route in ROUTES:
        owner = getattr(route.handler, "__self__", None)
        if isinstance(owner, Collection):
            assert route.path.startswith(f"/v2.0/{owner.resource.path}")
