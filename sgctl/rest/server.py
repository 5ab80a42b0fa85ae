"""The API on Ryu's WSGI: the one module here that knows Ryu, eventlet and sockets."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

import eventlet
import eventlet.wsgi
from ryu.app.wsgi import ControllerBase, WSGIApplication, route
from ryu.lib import hub
from webob import Response as WebResponse

from sgctl.rest.access import Access, RateLimit, is_loopback
from sgctl.rest.api import Api
from sgctl.rest.credentials import AccessError, TokenFile
from sgctl.rest.errors import ApiError, tell
from sgctl.rest.http import MAX_BODY_BYTES, Request, Response
from sgctl.rest.keeper import Keeper
from sgctl.rest.listener import ARRIVED, IDLE_SECONDS, VISITOR, Listener, protocol
from sgctl.rest.local_users import LocalUsers
from sgctl.rest.quotas import Quotas, parse
from sgctl.rest.visitors import MOST
from sgctl.settings import ApiSettings

LOG = logging.getLogger(__name__)

BURST_SECONDS = 4
"""How long a client may make requests at once before its rate counts."""

BACKLOG = 1024
"""Connections that wait to be accepted: with few places, a crowd would keep others out."""
SPARE = 16
"""Connections that have been told to end."""

_API = "api"

Subject = tuple[tuple[tuple[str, str], ...], ...]
"""The subject of a certificate, as `ssl` has it."""


class Gateway(ControllerBase):
    """Hands every request to the API and its answer back."""

    def __init__(self, req: Any, link: Any, data: Mapping[str, Api], **config: Any) -> None:
        super().__init__(req, link, data, **config)
        self._api = data[_API]

    @route("api", r"/{path:[\s\S]*}")
    def answer(self, req: Any, **_: Any) -> WebResponse:
        """Every path, every method."""
        try:
            request = read_request(req.environ)
        except ApiError as error:
            return _web_response(tell(error, req.environ["PATH_INFO"]), close=True)
        response = self._api.answer(request)
        return _web_response(response, head=req.environ["REQUEST_METHOD"] == "HEAD")


def _web_response(response: Response, *, head: bool = False, close: bool = False) -> WebResponse:
    headers = [*response.headers, *([("Connection", "close")] if close else [])]
    body = b"".join(response.body)
    if response.status != 204:
        headers.append(("Content-Length", str(len(body))))
    return WebResponse(status=response.status, headerlist=headers, body=b"" if head else body)


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


class Northbound:
    """The API's server. Raises AccessError when its settings would leave it open."""

    def __init__(self, settings: ApiSettings, policy_remote: str, host: str, port: int) -> None:
        self._settings = settings
        self._address = (host, port)
        self._keeper = Keeper(policy_remote)
        access = _access(settings, host)
        rate = RateLimit(settings.rate, settings.rate * BURST_SECONDS)
        api = Api(
            self._keeper,
            access,
            Quotas(parse(settings.quota, tokens=settings.tokens is not None), self._keeper),
            rate,
        )
        self._application = WSGIApplication()
        self._application.register(Gateway, {_API: api})
        self._threads: list[Any] = []
        self._tls = _tls_context(settings)
        if self._tls is None and not is_loopback(host):
            LOG.warning("the API on %s is without TLS: tokens can be read on the way", host)

    def start(self) -> None:
        """Listen, and answer in green threads. Ends the process when somebody else listens there."""
        self._threads = [hub.spawn(self._keeper.run), hub.spawn(self._serve, self._listen())]

    def stop(self) -> None:
        """Answer nobody any more."""
        for thread in self._threads:
            hub.kill(thread)

    def _listen(self) -> Listener:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listener = eventlet.listen(self._address, family=family, backlog=BACKLOG)
        if self._tls is not None:
            listener = self._tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        return Listener(listener)

    def _serve(self, listener: Listener) -> None:
        quiet = logging.getLogger(f"{__name__}.requests")
        eventlet.wsgi.server(
            listener,
            self._application,
            log=quiet,
            log_output=False,
            debug=False,
            max_size=MOST + SPARE,
            socket_timeout=IDLE_SECONDS,
            protocol=protocol(listener),
        )


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
