"""Who the caller is, and how many requests a client may make."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from sgctl.rest.credentials import AccessError, Caller, Credentials, Role, TokenFile, digest
from sgctl.rest.errors import ApiError
from sgctl.rest.http import Client, Request
from sgctl.rest.local_users import GROUP, LocalUsers

LOCAL_ADMIN = Caller("", Role.ADMIN)
"""The caller where no token is needed."""


@lru_cache(maxsize=64)  # asked for every request
def is_loopback(host: str) -> bool:
    """Whether a listening address or a Host header's name can only be reached from this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """Identifies callers: by the token file or, without one, by their user id on this machine."""

    def __init__(self, tokens: TokenFile | None, users: LocalUsers) -> None:
        self._tokens = tokens
        self._users = users

    def admit(self, request: Request) -> None:
        """Without tokens, raise ApiError 403 for web pages and for users without permission."""
        if self._tokens is None:
            _refuse_browsers(request)
            refusal = self._users.refusal(request.peer.uid)
            if refusal:
                text = f"Without a token, only root and the group {GROUP} may use this API: {refusal}"
                raise ApiError(403, "PolicyNotAuthorized", text)

    def caller(self, request: Request) -> Caller:
        """The caller, after `admit`. Raises ApiError 401, or 503 while the token file cannot be used."""
        found = self.by_token(request.headers.get("x-auth-token", "")) or self._by_certificate(request)
        if found is None:
            raise ApiError(401, "Unauthorized", "This request needs a valid X-Auth-Token")
        request.peer.caller = found
        return found

    def by_token(self, token: str) -> Caller | None:
        """The caller that a token stands for. Raises ApiError 503 while the token file cannot be used."""
        if self._tokens is None:
            return LOCAL_ADMIN
        return _current(self._tokens).by_token.get(digest(token)) if token else None

    def _by_certificate(self, request: Request) -> Caller | None:
        if self._tokens is None or not request.certificate:
            return None
        return _current(self._tokens).by_certificate.get(request.certificate)


def _current(tokens: TokenFile) -> Credentials:
    try:
        return tokens.current()
    except AccessError as error:
        raise ApiError(503, "ServiceUnavailable", f"No caller can be recognised: {error}") from None


def _refuse_browsers(request: Request) -> None:
    """A foreign web page can make a local browser send requests, even with a host name of that page."""
    host = urlsplit(f"//{request.headers.get('host', 'localhost')}").hostname or ""
    if "origin" in request.headers or not is_loopback(host):
        raise ApiError(403, "PolicyNotAuthorized", "Without a token, only programs on this machine may ask")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """Lets each client make `rate` requests per second, and `burst` of them at once; 0 is no limit.

    A client is identified by `Peer.client`.
    """

    MOST_CLIENTS = 4096

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[Client, _Bucket] = OrderedDict()

    def admit(self, client: Client) -> None:
        """Count a request; ApiError 429 when there are too many."""
        if not self._rate:
            return
        now = self._clock()
        bucket = self._buckets.pop(client, None) or _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        self._buckets[client] = bucket
        if len(self._buckets) > self.MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            raise ApiError(429, "TooManyRequests", "Too many requests", (("Retry-After", "1"),))
        bucket.tokens -= 1
