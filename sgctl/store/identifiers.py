"""Names from outside, such as host names, where a protocol or a shell takes an identifier only.

Different names give different identifiers, and a name of ASCII letters and digits stays what it is.
"""

from __future__ import annotations

import re
import shlex
import socket

_NOT_PLAIN = re.compile(rb"[^A-Za-z0-9]")


def lock_name(chassis: str) -> str:
    """The OVSDB lock of a host: an `<id>` of letters, digits and `_` (RFC 7047 section 3.1).

    Every other byte of the name's UTF-8 becomes `_` and two hexadecimal digits.
    """
    escaped = _NOT_PLAIN.sub(lambda found: b"_%02x" % ord(found[0]), chassis.encode())
    return f"sgctl_{escaped.decode()}"


def host_name() -> str:
    """The host's name as text that every protocol can carry; it need not be UTF-8 (gethostname(2))."""
    return socket.gethostname().encode(errors="surrogateescape").decode(errors="backslashreplace")


def command(*arguments: str) -> str:
    """A command for people to copy, whatever characters its arguments have."""
    return shlex.join(arguments)
