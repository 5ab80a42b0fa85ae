"""The API on eventlet's HTTP server, in the process that `sgctl.ryu.api_process` starts."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import eventlet
import eventlet.wsgi

from sgctl.rest import configuration
from sgctl.rest.access import RateLimit
from sgctl.rest.api import Api
from sgctl.rest.connection_limits import MOST
from sgctl.rest.errors import ApiError, error_response
from sgctl.rest.follower import PolicyFollower
from sgctl.rest.http import MAX_BODY_BYTES, NO_CONTENT, Request, Response
from sgctl.rest.routing import Backend
from sgctl.ryu.http_listener import ARRIVED, IDLE_SECONDS, PEER, HttpListener, protocol
from sgctl.settings import ApiSettings

LOG = logging.getLogger(__name__)

BURST_SECONDS = 4
"""The burst that a client may send, in seconds of its rate."""

SPARE = 16
"""Room for connections that are being closed."""


class Application:
    """The API for eventlet's server (PEP 3333)."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        """Serve a request with any path and method."""
        response, close = self._answer(environ)
        headers = [*response.headers, *([("Connection", "close")] if close else [])]
        body = b"".join(response.body)
        if response.status != NO_CONTENT.status:
            headers.append(("Content-Length", str(len(body))))
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: Mapping[str, Any]) -> tuple[Response, bool]:
        """The response, and whether it must be the last one on this connection."""
        try:
            return self._api.answer(read_request(environ)), False
        except ApiError as error:
            return error_response(error, environ["PATH_INFO"]), True


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
        peer=environ[PEER],
        certificate=_certificate_name(environ),
        origin=f"{environ['wsgi.url_scheme']}://{host}",
    )


def _read_body(environ: Mapping[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    too_large = ApiError(413, "HTTPRequestEntityTooLarge", f"A request has at most {MAX_BODY_BYTES} bytes")
    if not (length.isascii() and length.isdigit()):
        raise ApiError(400, "HTTPBadRequest", "The Content-Length is not a number")
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
    subject: Any = (certificate or {}).get("subject", ())
    for part in subject:
        for name, value in part:
            if name == "commonName":
                return str(value)
    return ""


def serve(settings: ApiSettings, policy_remote: str, listening: Any) -> None:
    """Serve a listening socket forever."""
    policy = PolicyFollower(policy_remote)
    access = configuration.access(settings, listening.getsockname()[0])
    backend = Backend(policy, access, configuration.limits(settings))
    application = Application(Api(backend, RateLimit(settings.rate, settings.rate * BURST_SECONDS)))
    tls = configuration.tls_context(settings)
    if tls is not None:
        listening = tls.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)
    listener = HttpListener(listening)
    eventlet.spawn(policy.run)
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
