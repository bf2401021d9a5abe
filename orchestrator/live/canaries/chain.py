"""A chain of certificates: each link signed by the next, which may sign, and all valid now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from orchestrator.live.canaries.trial import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise Failed(f"the server's certificate cannot be read: {error}") from error


def check(leaf: x509.Certificate, others: Sequence[x509.Certificate], now: datetime) -> None:
    """Follow the issuers from the leaf to a root that signs itself."""
    chain = [leaf]
    while chain[-1].issuer != chain[-1].subject:
        above = next((one for one in others if _signs(one, chain[-1])), None)
        if above is None or above in chain:
            raise Failed(f"{_name(chain[-1])} is signed by {chain[-1].issuer.rfc4514_string()}, which this mount lacks")
        chain.append(above)
    _check_signature(chain[-1], chain[-1])
    for above in chain[1:]:
        check_authority(above)
    for one in chain:
        check_dates(one, now)


def check_authority(one: x509.Certificate) -> None:
    try:
        authority = one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        authority = False
    if not authority:
        raise Failed(f"{_name(one)} is not the certificate of an authority (CA:TRUE)")


def check_dates(one: x509.Certificate, now: datetime) -> None:
    if not one.not_valid_before_utc <= now <= one.not_valid_after_utc:
        raise Failed(f"{_name(one)} is valid from {one.not_valid_before_utc} to {one.not_valid_after_utc}, not now")


def _signs(above: x509.Certificate, below: x509.Certificate) -> bool:
    """Whether this is the issuer by name and by key: a renewed authority has the name of the old one."""
    try:
        _check_signature(below, above)
    except Failed:
        return False
    return True


def _check_signature(below: x509.Certificate, above: x509.Certificate) -> None:
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise Failed(f"{_name(below)} is not signed by {_name(above)}") from error


def _name(one: x509.Certificate) -> str:
    return one.subject.rfc4514_string() or f"certificate {one.serial_number:x}"
