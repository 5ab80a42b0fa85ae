"""Who may do what: tokens and certificates stand for projects with a role."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sgctl.rest.errors import ApiError
from sgctl.rest.http import Request


class Role(IntEnum):
    """Each may do all that the ones before may."""

    READER = 0
    MEMBER = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is made. Readers and members see their project, admins everything."""

    project: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether other projects are open to it, too."""
        return self.role is Role.ADMIN


class AccessError(Exception):
    """The settings would leave the API open, or cannot be read; the message is for the operator."""


LOCAL_ADMIN = Caller("", Role.ADMIN)
"""Everybody on this machine, as long as no token is asked for."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Callers by the SHA-256 of their token and by the common name of their TLS certificate."""

    by_token: Mapping[bytes, Caller]
    by_certificate: Mapping[str, Caller]


def load_credentials(path: Path) -> Credentials:
    """Read a token file; AccessError when it is wrong or readable by others.

    YAML: a list of mappings with `token`, `token_sha256` or `certificate`, with `project` and `role`.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise AccessError(f"{path}: others than its owner can read or write it; use chmod 600")
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)  # the message itself might show a token
        raise AccessError(f"{path}: not YAML{f', line {mark.line + 1}' if mark else ''}") from None
    if not isinstance(entries, list) or not entries:
        raise AccessError(f"{path}: must be a list of tokens")
    tokens: dict[bytes, Caller] = {}
    certificates: dict[str, Caller] = {}
    for position, entry in enumerate(entries, 1):
        _take_entry(entry, f"{path}: entry {position}", tokens, certificates)
    return Credentials(tokens, certificates)


_SECRETS = ("token", "token_sha256", "certificate")


def _take_entry(entry: Any, where: str, tokens: dict[bytes, Caller], certificates: dict[str, Caller]) -> None:
    if not isinstance(entry, dict) or set(entry) - {*_SECRETS, "project", "role"}:
        raise AccessError(f"{where}: takes one of {', '.join(_SECRETS)}, with project and role")
    given = [key for key in _SECRETS if isinstance(entry.get(key), str) and entry[key]]
    project, role = entry.get("project"), str(entry.get("role", "member")).upper()
    if len(given) != 1 or not isinstance(project, str) or not project or role not in Role.__members__:
        raise AccessError(
            f"{where}: needs one of {', '.join(_SECRETS)}, a project, and a role of "
            f"{', '.join(Role.__members__).lower()}"
        )
    caller, secret = Caller(project, Role[role]), entry[given[0]]
    if given[0] == "certificate":
        certificates[secret] = caller
    elif given[0] == "token":
        if len(secret) < 16:
            raise AccessError(f"{where}: the token is shorter than 16 characters")
        tokens[_digest(secret)] = caller
    else:
        try:
            tokens[bytes.fromhex(secret)] = caller
        except ValueError:
            raise AccessError(f"{where}: token_sha256 is not hexadecimal") from None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def is_loopback(host: str) -> bool:
    """Whether a listening address or a Host header's name can only be reached from this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """Recognises callers. Without credentials, everybody who can reach a loopback address is admin."""

    def __init__(self, credentials: Credentials | None, certificates_suffice: bool = False) -> None:
        """`certificates_suffice`: a verified TLS certificate that is not listed makes its holder admin."""
        self._credentials = credentials
        self._certificates_suffice = certificates_suffice

    @property
    def is_open(self) -> bool:
        """Whether nobody has to say who they are."""
        return self._credentials is None and not self._certificates_suffice

    def caller(self, request: Request) -> Caller:
        """Who asks. Raises ApiError 401, or 403 for a web page that makes a browser ask."""
        if self.is_open:
            _refuse_browsers(request)
            return LOCAL_ADMIN
        found = self.by_token(request.headers.get("x-auth-token", "")) or self._by_certificate(request)
        if found is None:
            raise ApiError(401, "Unauthorized", "This request needs a valid X-Auth-Token")
        return found

    def by_token(self, token: str) -> Caller | None:
        """Whom a token stands for."""
        if self.is_open:
            return LOCAL_ADMIN
        if self._credentials is None or not token:
            return None
        return self._credentials.by_token.get(_digest(token))

    def _by_certificate(self, request: Request) -> Caller | None:
        if not request.certificate:
            return None
        if self._credentials is not None:
            return self._credentials.by_certificate.get(request.certificate)
        return LOCAL_ADMIN if self._certificates_suffice else None


def _refuse_browsers(request: Request) -> None:
    """A page from elsewhere can make a browser here send requests, also under a name of its own."""
    host = urlsplit(f"//{request.headers.get('host', 'localhost')}").hostname or ""
    if "origin" in request.headers or not is_loopback(host):
        raise ApiError(403, "PolicyNotAuthorized", "Without a token, only programs on this machine may ask")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """Lets each client make `rate` requests per second, and `burst` of them at once; 0 is no limit."""

    MOST_CLIENTS = 4096

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, client: str) -> None:
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
