"""Whether a role could have issued a certificate: each doubt says yes, as none of its own may be missed."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orchestrator.incident.kinds.pki import facts, is_authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from orchestrator.documents import Json

_SUBJECT = {
    "organization": NameOID.ORGANIZATION_NAME,
    "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "country": NameOID.COUNTRY_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "street_address": NameOID.STREET_ADDRESS,
    "postal_code": NameOID.POSTAL_CODE,
}
_USES = {
    "server_flag": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_flag": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing_flag": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection_flag": ExtendedKeyUsageOID.EMAIL_PROTECTION,
}
_KEYS: dict[str, type] = {
    "rsa": rsa.RSAPublicKey,
    "ec": ec.EllipticCurvePublicKey,
    "ed25519": ed25519.Ed25519PublicKey,
}


def issued(settings: Mapping[str, Json], answer: Mapping[str, Json]) -> tuple[bool, dict[str, Json]]:
    """Whether a role of these settings could have issued what the mount keeps, and it lives; what is told of it."""
    one = x509.load_pem_x509_certificate(answer["certificate"].encode())
    lives = one.not_valid_after_utc > datetime.now(UTC) and not is_authority(one)
    return lives and could_issue(settings, one), facts(one)


def could_issue(role: Mapping[str, Json], one: x509.Certificate) -> bool:
    """By its key, its subject, its uses and its names."""
    return (
        _has_key(role, one.public_key())
        and _has_subject(role, one.subject)
        and _has_uses(role, one)
        and all(_may(role, what, name) for what, name in _names(one))
    )


def _has_key(role: Mapping[str, Json], key: CertificatePublicKeyTypes) -> bool:
    wanted = _KEYS.get(str(role.get("key_type")))
    return wanted is None or isinstance(key, wanted)


def _has_subject(role: Mapping[str, Json], subject: x509.Name) -> bool:
    """What a role says of the subject stands in all that it issues, and nothing else does."""
    return all(
        {str(one.value) for one in subject.get_attributes_for_oid(oid)} == set(role.get(name) or ())
        for name, oid in _SUBJECT.items()
    )


def _has_uses(role: Mapping[str, Json], one: x509.Certificate) -> bool:
    """None but those of its flags; of a role that names others we cannot tell."""
    if role.get("ext_key_usage") or role.get("ext_key_usage_oids"):
        return True
    try:
        found = set(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return True
    return found <= {oid for flag, oid in _USES.items() if role.get(flag, True)}


def _names(one: x509.Certificate) -> Iterator[tuple[str, str]]:
    """Each name that it is good for, with its sort."""
    yield from (("name", str(name.value)) for name in one.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from (("name", name) for sort in (x509.DNSName, x509.RFC822Name) for name in names.get_values_for_type(sort))
    yield from (("uri", name) for name in names.get_values_for_type(x509.UniformResourceIdentifier))
    yield from (("ip", str(name)) for name in names.get_values_for_type(x509.IPAddress))


def _may(role: Mapping[str, Json], what: str, name: str) -> bool:
    if what == "ip":
        return bool(role.get("allow_ip_sans", True)) or _is_any(role)
    if what == "uri":
        return any(_is_template(one) or fnmatchcase(name, one) for one in role.get("allowed_uri_sans") or ())
    return _is_any(role) or _may_name(role, name.lower())


def _is_any(role: Mapping[str, Json]) -> bool:
    """Whether the role names nobody in particular."""
    unchecked = "disabled" in (role.get("cn_validations") or ())
    return bool(role.get("allow_any_name")) or bool(role.get("allow_token_displayname")) or unchecked


def _is_template(text: str) -> bool:
    return "{{" in text


def _may_name(role: Mapping[str, Json], name: str) -> bool:
    """Whether a host's or a person's name is below one of the role's domains.

    >>> role = {"allowed_domains": ["example.org"], "allow_subdomains": True}
    >>> _may_name(role, "a.example.org"), _may_name(role, "example.org"), _may_name(role, "a.example.com")
    (True, False, False)
    >>> _may_name({"allowed_domains": ["*.example.org"], "allow_glob_domains": True}, "a.example.org")
    True
    """
    host = name.rpartition("@")[2]
    bare = host.removeprefix("*.")
    if role.get("allow_localhost") and bare.rpartition(".")[2] in {"localhost", "localdomain"}:
        return True
    return any(_fits(role, str(domain).lower(), host, bare) for domain in role.get("allowed_domains") or ())


def _fits(role: Mapping[str, Json], domain: str, host: str, bare: str) -> bool:
    return (
        _is_template(domain)
        or (bool(role.get("allow_bare_domains")) and bare == domain)
        or (bool(role.get("allow_subdomains")) and (bare.endswith(f".{domain}") or host == f"*.{domain}"))
        or (bool(role.get("allow_glob_domains")) and fnmatchcase(host, domain))
    )
