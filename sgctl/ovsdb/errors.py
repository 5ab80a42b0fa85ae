"""Errors of database access; their messages are for users."""

from __future__ import annotations


class StoreError(Exception):
    """A database cannot be reached, refused a request, has another schema version, ..."""


class Conflict(StoreError):
    """The data that a commit was based on has changed; nothing was written. Compute the change again."""
