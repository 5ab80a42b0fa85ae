"""What can go wrong between sgctl and a database; the messages are for users."""

from __future__ import annotations


class StoreError(Exception):
    """No connection, refused by the server, of another schema version, ..."""


class Conflict(StoreError):
    """Somebody changed what a commit was based on; nothing was written. Work it out again and retry."""
