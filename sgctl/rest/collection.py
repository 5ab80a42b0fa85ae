"""Handlers of the routes of one collection, in common for all resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from sgctl.rest.credentials import Role
from sgctl.rest.edit_context import EditContext, may_see, owner
from sgctl.rest.errors import ApiError, bad_request, forbidden
from sgctl.rest.http import NO_CONTENT, Body, Json, Response, reply, reply_list
from sgctl.rest.listing import reduced, select
from sgctl.rest.quotas import check_quotas
from sgctl.rest.resource import Resource, ResourceAction
from sgctl.rest.routing import Context
from sgctl.rest.schemas import TAGS, Checker, check, mapping, read_json
from sgctl.rest.turns import in_pieces
from sgctl.rest.view import View
from sgctl.service.errors import PolicyError
from sgctl.service.plan import Plan
from sgctl.store import Store, StoreError
from sgctl.store.snapshot import Objects

T = TypeVar("T")

MAX_BULK, MAX_BULK_OF_MEMBERS = 1000, 100
"""Objects in one bulk request of an admin, and of a member: it is one transaction, for which others wait."""

TAGS_BODY = mapping(["tags"], tags=TAGS)
_TAGS = Checker(TAGS_BODY)
_REVISION = re.compile(r"\s*revision_number\s*=\s*([0-9]{1,18})\s*")


class Collection(Generic[T]):
    """`/v2.0/PATH` and everything below it."""

    def __init__(self, resource: Resource[T]) -> None:
        self.resource = resource

    def list_objects(self, context: Context) -> Response:
        """The objects that the caller may see, filtered, sorted and paged."""
        self._prepare(context)
        request, resource = context.request, self.resource
        view = context.backend.policy.view(request.turn)
        items = [item for item in resource.items(view.policy) if self._sees(context, view.policy, item)]
        for name in ("id", "name"):  # clients look up one object among many by these
            if request.values(name):
                items = [item for item in items if str(getattr(item, name)) in request.values(name)]
        order = "number" if "number" in resource.schema.names else "created_at"
        page = select(request, resource.schema.names, (resource.render(view, item) for item in items), order)
        return reply_list(request.turn, resource.plural, page.items, page.links)

    def _prepare(self, context: Context) -> None:
        """Create what a list must show. If that fails now, the list is shorter."""
        view = context.backend.policy.view(context.request.turn)
        if context.caller.role < Role.MEMBER or self.resource.is_ready(view.policy, context.caller):
            return

        def prepare(edit: EditContext) -> list[str]:
            self.resource.prepare(edit)
            return []

        with suppress(StoreError, PolicyError):
            self._commit(context, prepare)

    def _sees(self, context: Context, objects: Objects, item: T) -> bool:
        return may_see(context.caller, self.resource.base(item), objects)

    def show(self, context: Context, identifier: str) -> Response:
        """One object."""
        view = context.backend.policy.view(context.request.turn)
        item = self._find(context, view.policy, identifier)
        shown = reduced(context.request, self.resource.render(view, item))
        return reply({self.resource.singular: shown})

    def _find(self, context: Context, objects: Objects, identifier: str) -> T:
        item = self.resource.item(objects, identifier)
        if item is None or not self._sees(context, objects, item):
            raise self.resource.missing(identifier[:64])
        return item

    def create(self, context: Context) -> Response:
        """One object, or several in one transaction."""
        request, resource = context.request, self.resource
        document = read_json(request)
        bulk = isinstance(document, dict) and resource.plural in document
        key = resource.plural if bulk else resource.singular
        content = self._content(document, key)
        stated = content if bulk else [content]
        most = MAX_BULK if context.caller.is_admin else MAX_BULK_OF_MEMBERS
        if not isinstance(stated, list) or not 1 <= len(stated) <= most:
            raise bad_request(f"Invalid input for {key}. Reason: it must be a list of 1 to {most}.")
        bodies = [self._checked(context, body) for body in stated]

        def create(edit: EditContext) -> list[str]:
            return [resource.create(edit, body) for body in in_pieces(bodies)]

        shown = self._commit(context, create, len(bodies), counted=True)
        return reply_list(request.turn, key, shown, status=201) if bulk else reply({key: next(shown)}, 201)

    def _content(self, document: Json, key: str) -> Json:
        """The content of the envelope `key` of a request."""
        if not isinstance(document, dict) or set(document) != {key}:
            raise bad_request(f"Unable to find '{self.resource.singular}' in request body")
        return document[key]

    def _checked(self, context: Context, body: Json) -> Body:
        context.request.turn.pause()
        return self.resource.schema.check(body, "c")

    def update(self, context: Context, identifier: str) -> Response:
        """Change some attributes of an object."""
        content = self._content(read_json(context.request), self.resource.singular)
        body = self.resource.schema.check(content, "u")

        def change(edit: EditContext, item: T) -> None:
            self.resource.update(edit, item, body)

        return self._change(context, identifier, change)

    def delete(self, context: Context, identifier: str) -> Response:
        """Delete an object."""
        self._edit(context, identifier, self.resource.delete)
        return NO_CONTENT

    def handler_of(self, action: ResourceAction[T]) -> Callable[[Context, str], Response]:
        """The handler of an action on one object."""
        checker = Checker(action.request)

        def act(context: Context, identifier: str) -> Response:
            body = check(checker, read_json(context.request))
            return self._change(context, identifier, lambda edit, item: action.apply(edit, item, body))

        return act

    def list_tags(self, context: Context, identifier: str) -> Response:
        """All tags of an object."""
        return reply({"tags": sorted(self._tags(context, identifier))})

    def find_tag(self, context: Context, identifier: str, tag: str) -> Response:
        """Whether an object has a tag."""
        if tag not in self._tags(context, identifier):
            raise _no_tag(tag)
        return NO_CONTENT

    def _tags(self, context: Context, identifier: str) -> frozenset[str]:
        view = context.backend.policy.view(context.request.turn)
        return self.resource.tags(self._find(context, view.policy, identifier))

    def replace_tags(self, context: Context, identifier: str) -> Response:
        """Replace all tags of an object."""
        tags = frozenset(check(_TAGS, read_json(context.request))["tags"])
        self._edit(context, identifier, lambda edit, item: self.resource.tag(edit, item, tags))
        return reply({"tags": sorted(tags)})

    def add_tag(self, context: Context, identifier: str, tag: str) -> Response:
        """Add a tag to an object."""
        check(_TAGS, {"tags": [tag]})

        def add(edit: EditContext, item: T) -> None:
            tags = self.resource.tags(item) | {tag}
            if len(tags) > TAGS["maxItems"]:
                raise bad_request(f"Invalid input for tags. Reason: there are {TAGS['maxItems']} already.")
            self.resource.tag(edit, item, tags)

        self._edit(context, identifier, add)
        return Response(201)

    def remove_tags(self, context: Context, identifier: str) -> Response:
        """Remove all tags from an object."""
        self._edit(context, identifier, lambda edit, item: self.resource.tag(edit, item, frozenset()))
        return NO_CONTENT

    def remove_tag(self, context: Context, identifier: str, tag: str) -> Response:
        """Remove one tag from an object."""

        def remove(edit: EditContext, item: T) -> None:
            tags = self.resource.tags(item)
            if tag not in tags:
                raise _no_tag(tag)
            self.resource.tag(edit, item, tags - {tag})

        self._edit(context, identifier, remove)
        return NO_CONTENT

    def _change(
        self, context: Context, identifier: str, change: Callable[[EditContext, T], None]
    ) -> Response:
        shown = self._edit(context, identifier, change)
        return reply({self.resource.singular: next(shown)})

    def _edit(
        self, context: Context, identifier: str, change: Callable[[EditContext, T], None]
    ) -> Iterator[Body]:
        """Change one object, which must be the caller's and have the revision that If-Match names."""
        expected = _expected_revision(context)

        def edit_one(edit: EditContext) -> list[str]:
            item = self._find(context, edit.draft, identifier)
            base = self.resource.base(item)
            if not context.caller.is_admin and owner(base, edit.draft) != context.caller.project:
                raise forbidden("Only an admin may change objects that belong to no project")
            if expected is not None and base.meta.revision_number != expected:
                message = f"Constrained to {expected}, but current revision is {base.meta.revision_number}"
                raise ApiError(412, "RevisionNumberConstraintFailed", message)
            change(edit, item)
            return [identifier]

        return self._commit(context, edit_one, counted=True)

    def _commit(
        self,
        context: Context,
        apply: Callable[[EditContext], list[str]],
        objects: int = 1,
        *,
        counted: bool = False,
    ) -> Iterator[Body]:
        """Commit what `apply` does, and render the objects that it names as they are afterwards.

        `counted` says that the quotas of projects must hold afterwards. Objects that no longer exist are
        left out.
        """
        identifiers: list[str] = []

        def decide(store: Store) -> Plan:
            edit = EditContext(store.objects, context.caller)
            identifiers[:] = apply(edit)
            if counted:
                check_quotas(edit, store.quotas, context.backend.limits)
            return edit.plan()

        def show(view: View) -> tuple[View, list[T | None]]:
            return view, [self.resource.item(view.policy, identifier) for identifier in identifiers]

        view, items = context.backend.policy.change(context.request.turn, decide, show, objects)
        return (self.resource.render(view, item) for item in items if item is not None)


def _no_tag(tag: str) -> ApiError:
    return ApiError(404, "TagNotFound", f"Tag {tag[:64]} could not be found.")


def _expected_revision(context: Context) -> int | None:
    """The revision that an If-Match header requires. Raises ApiError 400 for any other condition."""
    header = context.request.headers.get("if-match")
    if header is None:
        return None
    match = _REVISION.fullmatch(header)
    if match is None:
        raise bad_request("Invalid value for If-Match header. Use revision_number=N.")
    return int(match[1])
