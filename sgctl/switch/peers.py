"""Finds the user id of the peer of a TCP connection, if the peer is a process of this machine.

Source: sock_diag(7), linux/inet_diag.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

Address = tuple[str, int]
"""Host and port, as the first two parts of a socket's address."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI")
_ENDS = struct.Struct("!HH16s16s")
_REST_OF_ID = struct.Struct("=III")
_UID_AND_INODE = struct.Struct("=II")
_OWNER_OFFSET = _HEADER.size + 4 + _ENDS.size + _REST_OF_ID.size + 12
_ANSWER_BYTES = 8192


def peer_uid(stream: Any) -> int | None:
    """The user id of the local process at the other end of an accepted TCP connection.

    None if it is no process of this network namespace. Raises ConnectionError when the peer has closed the
    connection, and any other OSError when the kernel does not tell its user.
    """
    uid = _owner(_peer(stream), stream.getsockname()[:2])
    _peer(stream)  # if the peer has reset the connection, its port may be another process's now
    return uid


def _peer(stream: Any) -> Address:
    try:
        host, port = stream.getpeername()[:2]
    except OSError:
        raise _closed() from None
    return host, port


def _closed() -> ConnectionError:
    return ConnectionAbortedError(errno.ECONNABORTED, "the peer has closed the connection")


def _owner(there: Address, here: Address) -> int | None:
    """The user id of the socket that is connected from `there` to `here`."""
    family, ends = _ends(there, here)
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + ends
    request += _REST_OF_ID.pack(0, _NO_COOKIE, _NO_COOKIE)
    length = _HEADER.size + len(request)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.sendto(_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + request, (0, 0))
        answer = kernel.recv(_ANSWER_BYTES)
    if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if number == errno.ENOENT:
            return None
        raise OSError(number, os.strerror(number))
    uid, inode = _UID_AND_INODE.unpack_from(answer, _OWNER_OFFSET)
    if not inode:  # its process has closed it, and the kernel may say that it is root's
        raise _closed()
    return int(uid)


def _ends(there: Address, here: Address) -> tuple[int, bytes]:
    """The address family, and both ends as the kernel encodes them, from the peer's point of view."""
    source, destination = parse_host(there[0]), parse_host(here[0])
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    return family, _ENDS.pack(there[1], here[1], source.packed, destination.packed)


def parse_host(host: str) -> IPv4Address | IPv6Address:
    """Parse a socket's address; an IPv4-mapped IPv6 address becomes IPv4 (RFC 4291 section 2.5.5.2)."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
