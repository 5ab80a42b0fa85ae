"""The settings of the API as the objects that they describe. Raises AccessError where they cannot be used."""

from __future__ import annotations

import logging
import ssl

from sgctl.rest.access import Access, is_loopback
from sgctl.rest.credentials import AccessError, TokenFile
from sgctl.rest.limits import Limits, parse
from sgctl.rest.local_users import LocalUsers
from sgctl.settings import ApiSettings

LOG = logging.getLogger(__name__)


def check_settings(settings: ApiSettings, host: str) -> None:
    """Raises AccessError for unusable settings, and for settings that open the API on `host` to everyone."""
    access(settings, host)
    limits(settings)
    if tls_context(settings) is None and not is_loopback(host):
        LOG.warning("the API on %s has no TLS: others can read tokens on the network", host)


def limits(settings: ApiSettings) -> Limits:
    """The default quotas of projects."""
    return parse(settings.quota, tokens=settings.tokens is not None)


def access(settings: ApiSettings, host: str) -> Access:
    """Who may use the API when it listens on `host`."""
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


def tls_context(settings: ApiSettings) -> ssl.SSLContext | None:
    """The TLS context, None for plain HTTP."""
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
            context.verify_mode = ssl.CERT_OPTIONAL  # a token is enough as well
    except OSError as error:
        raise AccessError(f"TLS of the API: {error}") from error
    return context
