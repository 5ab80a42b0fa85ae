"""Tokens and certificates with their callers, from a file that is read again when it changes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import yaml

LOG = logging.getLogger(__name__)


class Role(IntEnum):
    """Each role includes the ones before it."""

    READER = 0
    MEMBER = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """The project and role of a request. Readers and members see their project, admins everything."""

    project: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether the caller may see and change every project."""
        return self.role is Role.ADMIN


class AccessError(Exception):
    """The settings leave the API open, or cannot be read; the message is for the operator."""


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
        LOG.warning("%s has a token in plain text; use token_sha256 instead", where)
        tokens[digest(secret)] = caller
    else:
        try:
            tokens[bytes.fromhex(secret)] = caller
        except ValueError:
            raise AccessError(f"{where}: token_sha256 is not hexadecimal") from None


def digest(token: str) -> bytes:
    """The SHA-256 of a token. The token itself is not kept."""
    return hashlib.sha256(token.encode()).digest()


class TokenFile:
    """The current credentials of a file.

    While the file is invalid or readable by others, no token is accepted. Raises AccessError if it is so at
    the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _version(path)
        self._credentials: Credentials | None = load_credentials(path)

    def current(self) -> Credentials:
        """Raises AccessError when the file cannot be used; the log has the reason."""
        version = _version(self._path)
        if version != self._seen:
            self._seen = version
            self._reload()
        if self._credentials is None:
            raise AccessError("the token file cannot be used; the log of the controller says why")
        return self._credentials

    def _reload(self) -> None:
        try:
            self._credentials = load_credentials(self._path)
            LOG.info("token file %s: read again", self._path)
        except AccessError as error:
            self._credentials = None
            LOG.error("the API refuses all requests: %s", error)  # noqa: TRY400 - the message says it all


def _version(path: Path) -> tuple[int, ...]:
    """A value that changes with the file's content, owner or mode."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
