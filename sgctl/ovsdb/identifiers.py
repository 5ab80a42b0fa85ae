"""Escapes names from outside, such as host names, for protocols and shells that restrict characters.

Different names give different identifiers. Names of ASCII letters and digits are not changed.
"""

from __future__ import annotations

import re
import shlex
import socket

_NOT_PLAIN = re.compile(rb"[^A-Za-z0-9]")


def lock_name(chassis: str) -> str:
    """The name of a host's OVSDB lock: an `<id>` of letters, digits and `_` (RFC 7047 section 3.1).

    Every byte of the UTF-8 name that is no letter or digit becomes `_` and two hexadecimal digits.
    """
    escaped = _NOT_PLAIN.sub(lambda found: b"_%02x" % ord(found[0]), chassis.encode())
    return f"sgctl_{escaped.decode()}"


def host_name() -> str:
    """The host's name as valid Unicode text; the original need not be UTF-8 (gethostname(2))."""
    return socket.gethostname().encode(errors="surrogateescape").decode(errors="backslashreplace")


def command(*arguments: str) -> str:
    """A shell command line for users to copy, with its arguments quoted as needed."""
    return shlex.join(arguments)
