"""Decides which peers may connect as switches.

Accepts processes of this machine with the switch's user id, peers whose certificate has an accepted name, and
addresses that the operator has configured. All others are refused.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, cast

from netaddr import AddrFormatError, IPAddress, IPNetwork

from sgctl.switch.peers import parse_host, peer_uid
from sgctl.vswitch.remote import socket_path

ROOT = 0


class Admission:
    """The rules of this controller; `ovsdb` is the remote of the switch database.

    `peers` are addresses and networks, separated by commas, whose switches need no TLS. `names` returns the
    accepted certificate names. Raises ValueError if `peers` is malformed.
    """

    def __init__(self, ovsdb: str, peers: str, names: Callable[[], Collection[str]]) -> None:
        self._names = names
        self._uids = frozenset({ROOT, os.geteuid(), *_owner(ovsdb)})
        self._networks = tuple(_network(text.strip()) for text in peers.split(",") if text.strip())

    def trusts(self, stream: Any, host: str) -> bool:
        """Whether the peer of an accepted TCP connection, which comes from `host`, needs no certificate.

        Raises ConnectionError when the peer has closed the connection.
        """
        try:
            uid = peer_uid(stream)
        except ConnectionError:
            raise
        except OSError:
            return False  # the kernel does not tell the owner of the connection
        if uid is not None:
            return uid in self._uids
        address = IPAddress(str(parse_host(host)))
        return any(address in network for network in self._networks)

    def accepts(self, certificate: object) -> bool:
        """Whether a certificate has an accepted name; `ssl.SSLSocket.getpeercert` returns its form."""
        return not certificate_names(certificate).isdisjoint(self._names())


def certificate_names(certificate: object) -> frozenset[str]:
    """The common name and the DNS names of a certificate; empty if it was not verified."""
    found = cast("dict[str, Any]", certificate or {})
    subject = (pair for part in found.get("subject", ()) for pair in part)
    common = {value for key, value in subject if key == "commonName"}
    return frozenset(common | {value for key, value in found.get("subjectAltName", ()) if key == "DNS"})


def _owner(ovsdb: str) -> set[int]:
    """The user id that runs the switch database of this host, and thus its switches; empty if unknown."""
    path = socket_path(ovsdb)
    try:
        return {path.stat().st_uid} if path is not None else set()
    except OSError:
        return set()


def _network(text: str) -> IPNetwork:
    try:
        return IPNetwork(text)
    except (AddrFormatError, ValueError) as error:
        raise ValueError(f"sgctl-openflow-peers: {text!r} is no address and no network") from error


class Certificates:
    """The TLS context of a listener, which is loaded again when one of its files changes.

    `authorities` is the file with the CA certificates for switches; without it no switch certificate is
    accepted. Raises ValueError.
    """

    def __init__(self, key: str, certificate: str, authorities: str | None) -> None:
        self._chain = (certificate, key)
        self._authorities = authorities
        self._seen = self._versions()
        try:
            self._context = self._load()
        except OSError as error:
            raise ValueError(f"TLS for switches: {error}") from error

    def context(self) -> ssl.SSLContext:
        """The current context. Raises OSError when changed files cannot be read."""
        versions = self._versions()
        if versions != self._seen:
            self._context = self._load()
            self._seen = versions
        return self._context

    def _versions(self) -> tuple[tuple[int, int, int] | None, ...]:
        files = (*self._chain, *([self._authorities] if self._authorities else ()))
        return tuple(map(_version, files))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._chain)
        if self._authorities:
            context.load_verify_locations(self._authorities)
            context.verify_mode = ssl.CERT_OPTIONAL  # this machine's own switches need no certificate
        return context


def _version(file: str) -> tuple[int, int, int] | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
