"""A node's TLS as whoever connects sees it."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509

from orchestrator.cluster.health.facts import Certificate
from orchestrator.errors import StrongroomError
from orchestrator.live import trust

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

_DAY = 86400.0
_REFUSED = "ALERT"  # what the other end sends when it will not


def look(url: str, ca: bool | str, now: dt.datetime, seconds: float) -> Certificate:  # noqa: FBT001 - as requests has it
    """The certificate and whether it is trusted; one that is not is looked at nevertheless."""
    try:
        raw, protocol = shake(url, trust.context(ca), seconds)
        trusted = ""
    except ssl.SSLCertVerificationError as error:
        raw, protocol = shake(url, trust.context(verify=False), seconds)
        trusted = error.verify_message
    try:
        found = x509.load_der_x509_certificate(raw)
    except ValueError as error:
        raise StrongroomError(f"{url}: its certificate cannot be read: {error}") from error
    days = (found.not_valid_after_utc - now).total_seconds() / _DAY
    return Certificate(days, _names(found), found.issuer.rfc4514_string(), trusted, protocol)


def shake(url: str, context: ssl.SSLContext, seconds: float) -> tuple[bytes, str]:
    """The certificate in DER and the protocol of one handshake."""
    parts = urlsplit(url)
    place = parts.hostname or "", parts.port or 443
    with (
        socket.create_connection(place, seconds) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b"", secure.version() or ""


def takes(url: str, version: ssl.TLSVersion, seconds: float) -> bool:
    """Whether it speaks this version; OSError where that cannot be tried from here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # old versions sign with what is refused otherwise
    context.minimum_version = context.maximum_version = version
    try:
        shake(url, context, seconds)
    except ssl.SSLError as error:
        if _REFUSED not in (error.reason or ""):
            raise  # it is this machine that does not speak it
        return False
    return True


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names: Sequence[object] = [
        *found.get_values_for_type(x509.DNSName),
        *found.get_values_for_type(x509.IPAddress),
    ]
    return tuple(map(str, names))
