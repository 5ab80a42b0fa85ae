"""Filters, sorting, pages and `fields` of a list, with Neutron's query parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sgctl.rest.errors import ApiError, bad_request
from sgctl.rest.http import Body, Json, Request

CONTROLS = frozenset({"fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"})
_TAG_FILTERS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda have, wanted: wanted <= have,
    "tags-any": lambda have, wanted: bool(wanted & have),
    "not-tags": lambda have, wanted: not wanted <= have,
    "not-tags-any": lambda have, wanted: not wanted & have,
}


class Page(NamedTuple):
    """The objects of the answer, and links to the next and the previous page."""

    items: list[Body]
    links: list[Json]


def select(
    request: Request, names: frozenset[str], bodies: Iterable[Body], order: str = "created_at"
) -> Page:
    """The page of `bodies` that the request asks for. Raises ApiError 400, or 404 for an unknown marker."""
    filters = _filters(request, names)
    found = [body for body in _in_turns(request, bodies) if all(matches(body) for matches in filters)]
    found = _sorted(request, names, found, order)
    limit = _limit(request)
    page = _cut(request, found, limit)
    wanted = frozenset(name for value in request.values("fields") for name in value.split(",") if name)
    links = _links(request, page, found, limit)
    if not wanted:
        return Page(page, links)
    return Page([{name: value for name, value in body.items() if name in wanted} for body in page], links)


def reduced(request: Request, body: Body) -> Body:
    """One object with only the requested `fields`."""
    wanted = request.values("fields")
    return {name: value for name, value in body.items() if name in wanted} if any(wanted) else body


def _in_turns(request: Request, bodies: Iterable[Body]) -> Iterator[Body]:
    for body in bodies:
        yield body
        request.turn.pause()


def _filters(request: Request, names: frozenset[str]) -> list[Callable[[Body], bool]]:
    wanted: dict[str, list[str]] = {}
    for name, value in request.query:
        if name not in CONTROLS:
            wanted.setdefault(name, []).append(value)
    unknown = [name for name in wanted if name not in names and name not in _TAG_FILTERS]
    if unknown:
        raise bad_request(f"Invalid filters {', '.join(name[:64] for name in unknown)} in request.")
    return [_filter(name, values) for name, values in wanted.items()]


def _filter(name: str, values: list[str]) -> Callable[[Body], bool]:
    if name in _TAG_FILTERS:
        tags = {tag for value in values for tag in value.split(",")}
        return lambda body: _TAG_FILTERS[name](set(body["tags"]), tags)
    return lambda body: any(_equals(body.get(name), value) for value in values)


def _equals(have: Any, wanted: str) -> bool:
    if have is None:
        return wanted in ("", "None", "null")
    if isinstance(have, bool):
        return str(have).lower() == {"1": "true", "0": "false"}.get(wanted, wanted.lower())
    if isinstance(have, list):
        return any(_member(each, wanted) for each in have)
    return str(have) == wanted


def _member(have: Any, wanted: str) -> bool:
    """`fixed_ips=ip_address=192.0.2.1` compares a field of an object, `security_groups=ID` a value."""
    if not isinstance(have, dict):
        return str(have) == wanted
    name, _, value = wanted.partition("=")
    if name == "ip_address_substr":
        return value in str(have.get("ip_address"))
    return name in have and str(have[name]) == value


def _sorted(request: Request, names: frozenset[str], bodies: list[Body], order: str) -> list[Body]:
    keys, directions = request.values("sort_key"), request.values("sort_dir")
    if directions and len(directions) != len(keys):
        raise bad_request("The number of sort_keys and sort_dirs must be same")
    if any(direction not in ("asc", "desc") for direction in directions):
        raise bad_request("The only valid values for sort_dir are asc and desc")
    unknown = [key for key in keys if key not in names]
    if unknown:
        raise bad_request(f"{unknown[0][:64]} is not a valid attribute for sort_key")
    result = sorted(bodies, key=lambda body: (_rank(body[order]), str(body["name"]), body["id"]))
    order_of: dict[str, str] = {}  # a key that was given before decides nothing
    for key, direction in zip(keys, directions or ["asc"] * len(keys), strict=True):
        order_of.setdefault(key, direction)
    for key, direction in reversed(order_of.items()):
        result.sort(key=lambda body: _rank(body[key]), reverse=direction == "desc")
    return result


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, int):
        return (1, value)
    return (2, str(value))


def _limit(request: Request) -> int | None:
    given = request.values("limit")
    if not given:
        return None
    text = given[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise bad_request("Invalid input for limit. Reason: it must be a number from 0.")
    return int(text) or None


def _is_reverse(request: Request) -> bool:
    return request.values("page_reverse")[-1:] in (["True"], ["true"], ["1"])


def _cut(request: Request, bodies: list[Body], limit: int | None) -> list[Body]:
    marker = request.values("marker")[-1:]
    start, stop = 0, len(bodies)
    if marker:
        at = next((position for position, body in enumerate(bodies) if body["id"] == marker[0]), None)
        if at is None:
            raise ApiError(404, "HTTPNotFound", f"The marker {marker[0][:64]} could not be found")
        start, stop = (0, at) if _is_reverse(request) else (at + 1, stop)
    if limit is None:
        return bodies[start:stop]
    return bodies[max(start, stop - limit) : stop] if _is_reverse(request) else bodies[start : start + limit]


def _links(request: Request, page: list[Body], bodies: list[Body], limit: int | None) -> list[Json]:
    if limit is None or not page:
        return []
    others = [(name, value) for name, value in request.query if name not in ("marker", "page_reverse")]
    links = []
    if page[-1] is not bodies[-1]:
        links.append({"rel": "next", "href": _href(request, [*others, ("marker", page[-1]["id"])])})
    if page[0] is not bodies[0]:
        back = [*others, ("marker", page[0]["id"]), ("page_reverse", "True")]
        links.append({"rel": "previous", "href": _href(request, back)})
    return links


def _href(request: Request, query: list[tuple[str, str]]) -> str:
    return f"{request.origin}{request.path}?{urlencode(query)}"
