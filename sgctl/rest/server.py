"""The API on eventlet's HTTP server, in the process that `sgctl.rest.northbound` starts."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl

import eventlet
import eventlet.wsgi

from sgctl.rest.access import Access, RateLimit, is_loopback
from sgctl.rest.api import Api
from sgctl.rest.credentials import AccessError, TokenFile
from sgctl.rest.errors import ApiError, tell
from sgctl.rest.http import MAX_BODY_BYTES, NO_CONTENT, Request, Response
from sgctl.rest.keeper import Keeper
from sgctl.rest.listener import ARRIVED, IDLE_SECONDS, VISITOR, Listener, protocol
from sgctl.rest.local_users import LocalUsers
from sgctl.rest.quotas import Limits, Quotas, parse
from sgctl.rest.visitors import MOST
from sgctl.settings import ApiSettings

LOG = logging.getLogger(__name__)

BURST_SECONDS = 4
"""How long a client may make requests at once before its rate counts."""

SPARE = 16
"""Connections that have been told to end."""

Subject = tuple[tuple[tuple[str, str], ...], ...]
"""The subject of a certificate, as `ssl` has it."""


class Application:
    """The API for eventlet's server (PEP 3333)."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        """Every path, every method."""
        response, close = self._answer(environ)
        headers = [*response.headers, *([("Connection", "close")] if close else [])]
        body = b"".join(response.body)
        if response.status != NO_CONTENT.status:
            headers.append(("Content-Length", str(len(body))))
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: Mapping[str, Any]) -> tuple[Response, bool]:
        """The answer, and whether it has to be the last one on this connection."""
        try:
            return self._api.answer(read_request(environ)), False
        except ApiError as error:
            return tell(error, environ["PATH_INFO"]), True


def read_request(environ: Mapping[str, Any]) -> Request:
    """A request out of its WSGI environment. Raises ApiError 413, 408 and 400."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    method = environ["REQUEST_METHOD"]
    host = headers.get("host") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    try:
        query = tuple(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=1000))
    except ValueError:
        raise ApiError(400, "HTTPBadRequest", "The query has too many parameters") from None
    body = _read_body(environ)
    environ[ARRIVED]()
    return Request(
        method="GET" if method == "HEAD" else method,
        path=environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
        query=query,
        headers=headers,
        body=body,
        visitor=environ[VISITOR],
        certificate=_certificate_name(environ),
        origin=f"{environ['wsgi.url_scheme']}://{host}",
    )


def _read_body(environ: Mapping[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    too_large = ApiError(413, "HTTPRequestEntityTooLarge", f"A request has at most {MAX_BODY_BYTES} bytes")
    if not (length.isascii() and length.isdigit()):
        raise ApiError(400, "HTTPBadRequest", "The Content-Length is no number")
    if int(length) > MAX_BODY_BYTES:
        raise too_large
    try:
        body: bytes = environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
    except eventlet.Timeout:
        raise ApiError(408, "HTTPRequestTimeout", "The request did not arrive in time") from None
    except (OSError, ValueError) as error:  # as eventlet tells of broken chunks
        raise ApiError(400, "HTTPBadRequest", "The body cannot be read") from error
    if len(body) > MAX_BODY_BYTES:
        raise too_large
    return body


def _certificate_name(environ: Mapping[str, Any]) -> str:
    """The common name of the client's certificate, which the TLS handshake has verified."""
    source = environ.get("eventlet.input")
    connection = source.get_socket() if source is not None else None
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    for part in cast("Subject", (certificate or {}).get("subject", ())):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return ""


def check_settings(settings: ApiSettings, host: str) -> None:
    """Raises AccessError when the settings cannot be used, or would leave the API on `host` open."""
    _access(settings, host)
    _limits(settings)
    if _tls_context(settings) is None and not is_loopback(host):
        LOG.warning("the API on %s is without TLS: tokens can be read on the way", host)


def serve(settings: ApiSettings, policy_remote: str, listening: Any) -> None:
    """Answer whoever connects to a listening socket, for ever."""
    keeper = Keeper(policy_remote)
    access = _access(settings, listening.getsockname()[0])
    rate = RateLimit(settings.rate, settings.rate * BURST_SECONDS)
    application = Application(Api(keeper, access, Quotas(_limits(settings), keeper), rate))
    tls = _tls_context(settings)
    if tls is not None:
        listening = tls.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)
    listener = Listener(listening)
    eventlet.spawn(keeper.run)
    eventlet.wsgi.server(
        listener,
        application,
        log=logging.getLogger(f"{__name__}.requests"),
        log_output=False,
        debug=False,
        max_size=MOST + SPARE,
        socket_timeout=IDLE_SECONDS,
        protocol=protocol(listener),
    )


def _limits(settings: ApiSettings) -> Limits:
    return parse(settings.quota, tokens=settings.tokens is not None)


def _access(settings: ApiSettings, host: str) -> Access:
    users = LocalUsers(settings.users)
    if settings.tokens is not None:
        return Access(TokenFile(settings.tokens), users)
    if settings.client_ca is not None:
        raise AccessError(
            "--sgctl-api-client-ca needs --sgctl-api-tokens, which gives certificates their roles"
        )
    if not is_loopback(host):
        raise AccessError(f"the API on {host} would be open to all: give --sgctl-api-tokens")
    return Access(None, users)


def _tls_context(settings: ApiSettings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        if settings.key is not None or settings.client_ca is not None:
            raise AccessError("--sgctl-api-key and --sgctl-api-client-ca need --sgctl-api-certificate")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.client_ca is not None:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL  # a token does as well
    except OSError as error:
        raise AccessError(f"TLS of the API: {error}") from error
    return context
