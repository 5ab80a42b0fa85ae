"""Reading and writing one collection: what is the same for all resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from sgctl.rest.credentials import Caller, Role
from sgctl.rest.errors import ApiError, bad_request, forbidden, no_such_path, wrong_method
from sgctl.rest.http import NO_CONTENT, Body, Request, Response, reply, reply_list
from sgctl.rest.keeper import Keeper
from sgctl.rest.listing import reduced, select
from sgctl.rest.quotas import Quotas
from sgctl.rest.resource import Desk, Resource, may_see, owner
from sgctl.rest.resources.address_groups import ADDRESSES_BODY
from sgctl.rest.schemas import TAGS, Checker, check, mapping, read_json
from sgctl.rest.view import View
from sgctl.service.draft import Draft
from sgctl.service.edits import settle
from sgctl.service.errors import PolicyError
from sgctl.service.plan import Plan
from sgctl.store import Store, StoreError

T = TypeVar("T")

MOST_AT_ONCE, MOST_OF_MEMBERS = 1000, 100
"""Objects in one bulk request of an admin, and of a member: it is one transaction, for which others wait."""

_ADDRESSES = Checker(ADDRESSES_BODY)
_TAGS = Checker(mapping(["tags"], tags=TAGS))
_REVISION = re.compile(r"\s*revision_number\s*=\s*([0-9]{1,18})\s*")


class Collection(Generic[T]):
    """`/v2.0/PATH` and what is below it, on behalf of one caller."""

    def __init__(self, resource: Resource[T], keeper: Keeper, caller: Caller, quotas: Quotas) -> None:
        self._resource = resource
        self._keeper = keeper
        self._caller = caller
        self._quotas = quotas

    def answer(self, request: Request, rest: tuple[str, ...]) -> Response:
        """`rest` is the path below the collection."""
        if not rest:
            return self._dispatch(request, {"GET": self._list, "POST": self._create})
        if len(rest) == 1:
            return self._dispatch(
                request,
                {
                    "GET": lambda request: self._show(request, rest[0]),
                    "PUT": lambda request: self._update(request, rest[0]),
                    "DELETE": lambda request: self._delete(request, rest[0]),
                },
            )
        if len(rest) == 2 and rest[1] in self._resource.actions:
            return self._dispatch(request, {"PUT": lambda request: self._act(request, *rest)})
        if rest[1] == "tags" and len(rest) <= 3:
            return self._tags(request, *rest)
        raise no_such_path(request.path)

    def _dispatch(self, request: Request, handlers: dict[str, Callable[[Request], Response]]) -> Response:
        handler = handlers.get(request.method)
        if handler is None:
            raise wrong_method(request.method, tuple(handlers))
        if request.method != "GET" and self._caller.role < Role.MEMBER:
            raise forbidden("A reader may not change anything")
        return handler(request)

    def _list(self, request: Request) -> Response:
        self._prepare(request)
        view, resource = self._keeper.view(request.turn), self._resource
        items = [item for item in resource.items(view) if self._sees(view, item)]
        for name in ("id", "name"):  # the clients' way of finding one object among many
            if request.values(name):
                items = [item for item in items if str(getattr(item, name)) in request.values(name)]
        order = "number" if "number" in resource.shape.names else "created_at"
        page = select(request, resource.shape.names, (resource.render(view, item) for item in items), order)
        return reply_list(request.turn, resource.plural, page.items, page.links)

    def _prepare(self, request: Request) -> None:
        """Where that is not possible now, the list is just shorter."""
        if self._caller.role < Role.MEMBER or self._resource.is_ready(
            self._keeper.view(request.turn), self._caller
        ):
            return

        def prepare(desk: Desk) -> list[str]:
            self._resource.prepare(desk)
            return []

        with suppress(StoreError, PolicyError):
            self._write(request, prepare)

    def _sees(self, view: View | Draft, item: T) -> bool:
        return may_see(self._caller, self._resource.base(item), view)

    def _show(self, request: Request, identifier: str) -> Response:
        view = self._keeper.view(request.turn)
        item = self._find(view, identifier)
        return reply({self._resource.singular: reduced(request, self._resource.render(view, item))})

    def _find(self, view: View | Draft, identifier: str) -> T:
        item = self._resource.item(view, identifier)
        if item is None or not self._sees(view, item):
            raise self._resource.missing(identifier[:64])
        return item

    def _create(self, request: Request) -> Response:
        document = read_json(request)
        plural, singular = self._resource.plural, self._resource.singular
        bulk = isinstance(document, dict) and plural in document
        key = plural if bulk else singular
        if not isinstance(document, dict) or set(document) != {key}:
            raise bad_request(f"Unable to find '{singular}' in request body")
        stated = document[key] if bulk else [document[key]]
        most = MOST_AT_ONCE if self._caller.is_admin else MOST_OF_MEMBERS
        if not isinstance(stated, list) or not 1 <= len(stated) <= most:
            raise bad_request(f"Invalid input for {key}. Reason: it must be a list of 1 to {most}.")
        bodies = [self._checked(request, body) for body in stated]

        def edit(desk: Desk) -> list[str]:
            return [self._resource.create(desk, body) for body in bodies]

        shown = self._write(request, edit, len(bodies))
        return reply_list(request.turn, key, shown, status=201) if bulk else reply({key: next(shown)}, 201)

    def _checked(self, request: Request, body: Body) -> Body:
        request.turn.pause()
        return self._resource.shape.check(body, "c")

    def _update(self, request: Request, identifier: str) -> Response:
        document = read_json(request)
        if not isinstance(document, dict) or set(document) != {self._resource.singular}:
            raise bad_request(f"Unable to find '{self._resource.singular}' in request body")
        body = self._resource.shape.check(document[self._resource.singular], "u")

        def change(desk: Desk, item: T) -> None:
            self._resource.update(desk, item, body)

        return self._change(request, identifier, change)

    def _act(self, request: Request, identifier: str, action: str) -> Response:
        body = check(_ADDRESSES, read_json(request))
        return self._change(
            request, identifier, lambda desk, item: self._resource.act(desk, item, action, body)
        )

    def _delete(self, request: Request, identifier: str) -> Response:
        self._edit(request, identifier, self._resource.delete)
        return NO_CONTENT

    def _change(self, request: Request, identifier: str, change: Callable[[Desk, T], None]) -> Response:
        shown = self._edit(request, identifier, change)
        return reply({self._resource.singular: next(shown)})

    def _edit(self, request: Request, identifier: str, change: Callable[[Desk, T], None]) -> Iterator[Body]:
        expected = _expected_revision(request)

        def work(desk: Desk) -> list[str]:
            item = self._find(desk.draft, identifier)
            base = self._resource.base(item)
            if not self._caller.is_admin and owner(base, desk.draft) != self._caller.project:
                raise forbidden("Only an admin may change what belongs to no project")
            if expected is not None and base.meta.revision_number != expected:
                message = f"Constrained to {expected}, but current revision is {base.meta.revision_number}"
                raise ApiError(412, "RevisionNumberConstraintFailed", message)
            change(desk, item)
            return [identifier]

        return self._write(request, work)

    def _write(self, request: Request, edit: Callable[[Desk], list[str]], objects: int = 1) -> Iterator[Body]:
        """Carry out an edit; the objects it names as they are afterwards, without those that are gone."""
        identifiers: list[str] = []

        def decide(store: Store) -> Plan:
            desk = Desk.of(store.objects, self._caller)
            identifiers[:] = edit(desk)
            if request.method == "POST":
                self._quotas.check(desk, store.quotas)
            return settle(desk.draft)

        def show(view: View) -> tuple[View, list[T | None]]:
            return view, [self._resource.item(view, identifier) for identifier in identifiers]

        view, items = self._keeper.change(request.turn, decide, show, objects)
        return (self._resource.render(view, item) for item in items if item is not None)

    def _tags(self, request: Request, identifier: str, _: str, tag: str | None = None) -> Response:
        if request.method == "GET":
            view = self._keeper.view(request.turn)
            tags = self._resource.tags(self._find(view, identifier))
            if tag is None:
                return reply({"tags": sorted(tags)})
            if tag not in tags:
                raise ApiError(404, "TagNotFound", f"Tag {tag[:64]} could not be found.")
            return NO_CONTENT
        handlers = {"PUT": self._put_tags, "DELETE": self._delete_tags}
        return self._dispatch(
            request,
            {
                name: lambda request, handler=handler: handler(request, identifier, tag)  # type: ignore[misc]
                for name, handler in handlers.items()
            },
        )

    def _put_tags(self, request: Request, identifier: str, tag: str | None) -> Response:
        given = {"tags": [tag]} if tag is not None else read_json(request)
        tags = frozenset(check(_TAGS, given)["tags"])

        def change(desk: Desk, item: T) -> None:
            self._resource.tag(desk, item, tags if tag is None else self._resource.tags(item) | tags)

        self._edit(request, identifier, change)
        return reply({"tags": sorted(tags)}) if tag is None else Response(201)

    def _delete_tags(self, request: Request, identifier: str, tag: str | None) -> Response:
        def change(desk: Desk, item: T) -> None:
            tags = self._resource.tags(item)
            if tag is not None and tag not in tags:
                raise ApiError(404, "TagNotFound", f"Tag {tag[:64]} could not be found.")
            self._resource.tag(desk, item, tags - {tag} if tag is not None else frozenset())

        self._edit(request, identifier, change)
        return NO_CONTENT


def _expected_revision(request: Request) -> int | None:
    """The revision that an If-Match header insists on. Raises ApiError 400 for any other condition."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    match = _REVISION.fullmatch(header)
    if match is None:
        raise bad_request("Invalid value for If-Match header. Use revision_number=N.")
    return int(match[1])
