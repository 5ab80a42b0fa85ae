"""The answers to unusual paths and methods: status, type of error, and the allowed methods."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab.controller import Controller
from tests.api.client import Client, controller_with

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
WITH_BODY = ("POST", "PUT", "PATCH")
NOBODY = "00000000-0000-4000-8000-000000000000"
LONG, TOO_LONG = "y" * 1000, "y" * 9000
READER = "reader-token-0123456789"

Answers = dict[str, tuple[int, str]]
"""Status and kind by method; every other method is not allowed, or where none is, finds nothing."""

BAD, NOTHING = (400, "HTTPBadRequest"), (404, "HTTPNotFound")
FOUND: Answers = {"GET": (200, "")}
LIST: Answers = {**FOUND, "POST": BAD}
NO_NETWORK = (404, "NetworkNotFound")
ONE_NETWORK: Answers = {"GET": NO_NETWORK, "PUT": BAD, "DELETE": NO_NETWORK}
NO_RULE = (404, "SecurityGroupRuleNotFound")
NO_INSTANCE = (404, "itemNotFound")
QUOTA: Answers = {**FOUND, "PUT": BAD, "DELETE": (404, "TenantQuotaNotFound")}


class Odd(NamedTuple):
    """A path as it is sent, the methods that it serves, and the `Allow` header for other methods."""

    path: str
    answers: Answers
    allow: str = ""


def network(path: str) -> Odd:
    return Odd(f"/v2.0/networks/{path}", ONE_NETWORK, "GET, PUT, DELETE")


NETWORK_PATHS = [
    *(Odd(path, FOUND, "GET") for path in ("/", "//", "/?", "/%2F", "///?x=1", "/openapi.json/")),
    *(Odd(path, FOUND, "GET") for path in ("/v2.0", "/v2.0/", "//v2.0", "/v2.0//", "/v2%2E0")),
    *(Odd(path, {}) for path in ("/v2.0.json", "/v2.1", "/V2.0", "/openapi", "/favicon.ico", "/identities")),
    *(Odd(path, {}) for path in ("/../v2.0", "/%2e%2e/v2.0", "/v2.0/./networks", f"/{LONG}")),
    *(
        Odd(f"/v2.0{path}", LIST, "GET, POST")
        for path in ("/networks", "/networks/", "//networks//", "%2Fnetworks", "/networks?", "/%6eetworks")
    ),
    *(
        Odd(f"/v2.0/{path}", {})
        for path in ("networks.json", "Networks", "network", "networks;x", "networks%3Flimit=1", LONG)
    ),
    *map(network, (NOBODY, f"{NOBODY}/", f"{NOBODY}.json", "%20", "%00", "%FF", "a%0Ab", "a%0A", "..", ".")),
    *map(network, ("%3Cid%3E", "{id}", "%7Bid%7D", "a%3Fb", "a%25b", "%E2%82%AC", LONG)),
    *(
        Odd(f"/v2.0/networks/{NOBODY}{rest}", ONE_NETWORK, "GET, PUT, DELETE")
        for rest in ("/tags", "%2Ftags", "/tags/", "//tags")
    ),
    Odd(
        f"/v2.0/networks/{NOBODY}/tags/x",
        dict.fromkeys(("GET", "PUT", "DELETE"), NO_NETWORK),
        "GET, PUT, DELETE",
    ),
    *(
        Odd(f"/v2.0/networks/{rest}", {})
        for rest in ("a%2Fb", "a/tags/x/y", "a/other", "a/other/x", "a/add_addresses", f"a/{LONG}")
    ),
    Odd(f"/v2.0/address-groups/{NOBODY}/add_addresses", {"PUT": BAD}, "PUT"),
    Odd(f"/v2.0/address-groups/{NOBODY}/add_addresses/x", {}),
    Odd("/v2.0/security_groups", {}),
    Odd(
        f"/v2.0/security-group-rules/{NOBODY}",
        {"GET": NO_RULE, "DELETE": NO_RULE},
        "GET, DELETE",
    ),
    *(Odd(f"/v2.0/extensions{rest}", FOUND, "GET") for rest in ("", "/", "/quotas")),
    *(Odd(f"/v2.0/extensions/{rest}", {"GET": NOTHING}, "GET") for rest in ("none", "quotas.json")),
    *(Odd(f"/v2.0/extensions{rest}", {}) for rest in (".json", "/quotas/x")),
    Odd("/v2.0/quotas", FOUND, "GET"),
    *(
        Odd(f"/v2.0/quotas/{name}", QUOTA, "GET, PUT, DELETE")
        for name in ("x", "x.json", "tenant", "project", "default", "details")
    ),
    *(Odd(f"/v2.0/quotas/x/{rest}", FOUND, "GET") for rest in ("default", "details", "details.json")),
    *(
        Odd(f"/v2.0/quotas/{rest}", {})
        for rest in ("tenant/x", "x/default.json", "x/other", "x/default/y", f"{LONG}/x")
    ),
]

_NONE: Answers = {"GET": NO_INSTANCE}
COMPUTE_PATHS = [
    *(Odd(f"/compute{rest}", FOUND, "GET") for rest in ("", "/", "/v2.1", "/v2.1/")),
    *(
        Odd(f"/compute{rest}", {})
        for rest in ("/v2", "/v2/servers", "r", "/v2.1/flavors", "/v2.1/servers.json")
    ),
    *(Odd(f"/compute/v2.1/servers{rest}", FOUND, "GET") for rest in ("", "/", "/detail", "//detail")),
    *(Odd(f"/compute/v2.1/servers/{rest}", _NONE, "GET") for rest in ("x", "a%20b", "x/os-security-groups")),
    Odd("//compute/v2.1/servers/x", _NONE, "GET"),
    Odd("/compute/v2.1/servers/x/os-interface", {**_NONE, "POST": (400, "badRequest")}, "GET, POST"),
    Odd("/compute/v2.1/servers/x/os-interface/y", {"DELETE": NO_INSTANCE}, "DELETE"),
    *(
        Odd(f"/compute/v2.1/servers/{server}/action", {"POST": (400, "badRequest")}, "POST")
        for server in ("x", "detail")
    ),
    *(
        Odd(f"/compute/v2.1/servers/x/{rest}", {})
        for rest in ("os-interface/y/z", "action/y", "other", LONG, "os-security-groups/y")
    ),
    *(Odd(f"/compute/v2.1/os-quota-sets/x{rest}", FOUND, "GET") for rest in ("", "/detail", "/defaults")),
    *(Odd(f"/compute/v2.1/os-quota-sets{rest}", {}) for rest in ("", "/x/other", "/x/detail/y")),
]

IDENTITY_PATHS = [
    *(Odd(f"/identity{rest}", FOUND, "GET") for rest in ("", "/", "/v3", "/v3/")),
    *(
        Odd(f"/identity{rest}", {})
        for rest in ("/v2.0", "/v3/auth", "/v3/auth/other", "/v3/users", "/v2.0/tokens")
    ),
    Odd("/identity/v3/auth/tokens", {**FOUND, "POST": BAD}, "GET, POST"),
    Odd("/identity/v3/auth/tokens/", {**FOUND, "POST": BAD}, "GET, POST"),
    Odd("/identity/v3/auth/tokens/x", {}),
    *(Odd(f"/identity/v3/{rest}", FOUND, "GET") for rest in ("auth/projects", "auth/catalog", "projects")),
    Odd("/identity/v3/projects/x", FOUND, "GET"),
    Odd("/identity/v3/projects/x/y", {}),
]

_COMPUTE_KINDS = {"HTTPNotFound": "itemNotFound", "HTTPMethodNotAllowed": "badMethod"}


def kind_of(document: Any) -> str:
    """The kind of an error in the words of each API; checks the rest of the error, too."""
    if document is None or "versions" in document or len(document) != 1:
        return ""
    ((envelope, error),) = document.items()
    if envelope == "NeutronError":
        assert set(error) == {"type", "message", "detail"}
        return str(error["type"])
    if envelope == "error":
        assert set(error) == {"code", "title", "message"}
        return str(error["title"])
    return envelope if isinstance(error, dict) and set(error) == {"code", "message"} else ""


def send(port: int, method: str, path: str, token: str = "") -> tuple[int, str, str, bytes]:
    """Status, kind, `Allow` and body of the response to a path that is sent unchanged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = b"{}" if method in WITH_BODY else None
        connection.request(method, path, body, {"X-Auth-Token": token} if token else {})
        answer = connection.getresponse()
        text = answer.read()
        kind = kind_of(json.loads(text)) if text else ""
        return answer.status, kind, answer.headers.get("Allow", ""), text
    finally:
        connection.close()


def expected(row: Odd, method: str, *, compute: bool) -> tuple[int, str, str]:
    asked = "GET" if method == "HEAD" else method
    if asked in row.answers:
        status, kind = row.answers[asked]
        allow = ""
    elif row.allow:
        status, kind, allow = 405, "HTTPMethodNotAllowed", row.allow
    else:
        (status, kind), allow = NOTHING, ""
    return status, _COMPUTE_KINDS.get(kind, kind) if compute else kind, allow


@pytest.mark.parametrize(
    "row", [*NETWORK_PATHS, *COMPUTE_PATHS, *IDENTITY_PATHS], ids=lambda row: str(row.path)[:60]
)
def test_odd_path(api: Client, row: Odd) -> None:
    for method in METHODS:
        status, kind, allow = expected(row, method, compute="/compute" in row.path)
        found = send(api.port, method, row.path)
        if method == "HEAD":
            assert found == (status, "", allow, b""), method
        else:
            assert found[:3] == (status, kind, allow), method


def test_a_path_longer_than_a_request_line(api: Client) -> None:
    assert send(api.port, "GET", f"/{TOO_LONG}")[0] == 414


def test_a_long_unknown_path_is_quoted_in_part(api: Client) -> None:
    text = send(api.port, "GET", f"/v2.0/{LONG}")[3]
    assert b"The resource could not be found: /v2.0/yyy" in text
    assert len(text) < len(LONG)


@pytest.fixture(scope="module")
def guarded(private_network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    file: Path = tmp_path_factory.mktemp("odd") / "tokens.yaml"
    file.touch(mode=0o600)
    file.write_text(f"- {{token: {READER}, project: red, role: reader}}\n")
    with controller_with(f"--sgctl-api-tokens={file}", "--sgctl-api-rate=0") as running:
        yield running


PUBLIC = ("/", "/v2.0", "/compute", "/compute/v2.1", "/identity", "/identity/v3", "/openapi.json")


@pytest.mark.parametrize("path", PUBLIC)
def test_versions_and_the_document_need_no_token(guarded: Controller, path: str) -> None:
    assert send(guarded.wsapi_port, "GET", path)[0] == 200
    assert send(guarded.wsapi_port, "PUT", path)[::2] == (405, "GET")


UNKNOWN = ("/v2.1", "/v2.0/firewalls", "/v2.0/networks/a/b", "/v2.0/quotas/a/b/c", "/compute/v2", "/x")


@pytest.mark.parametrize("path", [*UNKNOWN, "/v2.0/networks", "/v2.0/quotas", "/compute/v2.1/servers"])
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
def test_unauthenticated_clients_do_not_learn_which_paths_exist(
    guarded: Controller, method: str, path: str
) -> None:
    assert send(guarded.wsapi_port, method, path)[0] == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/identity/v3/auth/tokens", 401),
        ("GET", "/identity/v3/auth/catalog", 401),
        ("GET", "/identity/v3/projects", 401),
        ("GET", "/identity/v3/projects/x", 401),
        ("POST", "/identity/v3/auth/tokens", 400),
        ("PUT", "/identity/v3/auth/tokens", 405),
        ("POST", "/identity/v3/projects", 405),
        ("GET", "/identity/v3/users", 404),
        ("POST", "/identity/v2.0/tokens", 404),
    ],
)
def test_identity_paths_are_known_without_a_token(
    guarded: Controller, method: str, path: str, status: int
) -> None:
    assert send(guarded.wsapi_port, method, path)[0] == status


WRITES = [
    ("POST", "/v2.0/networks"),
    ("PUT", f"/v2.0/networks/{NOBODY}"),
    ("DELETE", f"/v2.0/security-group-rules/{NOBODY}"),
    ("PUT", f"/v2.0/networks/{NOBODY}/tags"),
    ("PUT", f"/v2.0/networks/{NOBODY}/tags/x"),
    ("DELETE", f"/v2.0/networks/{NOBODY}/tags"),
    ("PUT", f"/v2.0/address-groups/{NOBODY}/add_addresses"),
    ("PUT", "/v2.0/quotas/red"),
    ("DELETE", "/v2.0/quotas/red"),
    ("POST", "/compute/v2.1/servers/x/action"),
    ("POST", "/compute/v2.1/servers/x/os-interface"),
    ("DELETE", "/compute/v2.1/servers/x/os-interface/y"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_reader_cannot_write(guarded: Controller, method: str, path: str) -> None:
    status, kind, _, _ = send(guarded.wsapi_port, method, path, READER)
    assert (status, kind) in ((403, "PolicyNotAuthorized"), (403, "forbidden"))


@pytest.mark.parametrize("path", UNKNOWN)
def test_a_reader_gets_404_for_unknown_paths(guarded: Controller, path: str) -> None:
    assert send(guarded.wsapi_port, "GET", path, READER)[0] == 404
