"""PKI's authorities: a root, an intermediate and who signs it, and the settings of issuers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.model import Field, Limit, Object, Part, Resource, Waits, Write
from orchestrator.shapes import DURATION, FLAG, LIST, NUMBER, PEM, SIGNED, TEXT, Shape, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

_KEY_TYPE = choice("rsa", "ec", "ed25519")
_FORMAT = choice("pem", "der", "pem_bundle")
_NO_SUCH = {"openbao": "OpenBao has no such setting; leave it out"}
_NO_SUCH_CHECKS = {
    "openbao": "OpenBao always makes this check; leave it out",
    "vault": "only Vault Enterprise can leave this check out; leave out the setting",
}

STRONG_KEY = Limit(
    "pki-weak-key",
    lambda bits: bits in (0, 256, 384, 521) or bits >= 2048,  # noqa: PLR2004 - sizes of curves, and RSA's least
    "RSA below 2048 bits and curves below 256 are within reach of an attacker; write 2048, or key_type: ec with 256",
)


def _fixed(shape: Shape, *, yaml: bool = True, **more: object) -> Field:
    """A setting of a certificate: it cannot be read back, and another value is another certificate."""
    return Field(shape, readable=False, replace=True, yaml=yaml, **more)  # type: ignore[arg-type]


def _unused(shape: Shape = TEXT, **more: object) -> Field:
    return _fixed(shape, yaml=False, **more)


_SUBJECT = {
    "common_name": _fixed(TEXT, required=True),
    **{name: _fixed(TEXT) for name in ("organization", "ou", "country", "locality", "province")},
    **{name: _fixed(TEXT) for name in ("street_address", "postal_code")},
    **{name: _fixed(LIST) for name in ("alt_names", "ip_sans", "uri_sans", "other_sans")},
    "exclude_cn_from_sans": _fixed(FLAG),
    "key_usage": _unused(LIST),
}
_NEW_KEY = {
    "type": _fixed(TEXT, yaml=False, required=True),
    "format": _unused(_FORMAT, default="pem"),
    "private_key_format": _unused(default="der"),
    "key_type": _fixed(_KEY_TYPE, default="ec", official="rsa"),
    "key_bits": _fixed(NUMBER, default=4096, only={"key_type": "rsa"}, otherwise=256, official=2048, limit=STRONG_KEY),
    "key_name": _fixed(TEXT, computed=True),
    "key_ref": _unused(computed=True),
    "key_id": Field(TEXT, output=True),
}
_CONSTRAINTS = {
    **{
        name: _fixed(LIST)
        for name in (
            "permitted_dns_domains",
            "permitted_email_addresses",
            "permitted_ip_ranges",
            "permitted_uri_domains",
            "excluded_dns_domains",
            "excluded_email_addresses",
            "excluded_ip_ranges",
            "excluded_uri_domains",
        )
    },
    "max_path_length": _fixed(SIGNED, default=-1),
    "ttl": _fixed(DURATION),
    "not_after": _fixed(TEXT),
    "not_before_duration": _fixed(DURATION),
    "use_pss": _fixed(FLAG),
    **{name: _unused() for name in ("jks_password", "pkcs12_encoder", "pkcs12_password")},
}
_ISSUED = {
    "certificate": Field(PEM, output=True),
    "issuing_ca": Field(PEM, output=True),
    "serial_number": Field(TEXT, output=True),
}
_NO_ISSUER = ("unable to fetch default issuer", "no default issuer", "no handler for route")
_UNKNOWN_ISSUER = ("unable to find issuer", "unable to find PKI issuer", *_NO_ISSUER)

_ROOT = Resource(
    type="vault_pki_secret_backend_root_cert",
    path="{backend}/issuer/{issuer_id}",
    mount="backend",
    version=1,
    constants={"type": "internal"},
    fields={
        **_SUBJECT,
        **_NEW_KEY,
        **_CONSTRAINTS,
        **_ISSUED,
        "issuer_name": _fixed(TEXT, computed=True),
        "signature_bits": _fixed(NUMBER, computed=True),
        "managed_key_id": _unused(computed=True),
        "managed_key_name": _unused(computed=True),
        "jks_private_key_alias": _unused(),
        "issuer_id": Field(TEXT, output=True),
    },
    writes=(Write("{backend}/issuers/generate/root/{type}", on=("create",), once=True),),
    exists="{backend}/cert/ca",
    gone=_UNKNOWN_ISSUER,
    adopt="leave",
    after=("vault_pki_secret_backend_config_urls",),
    loses="its key is lost for good: everybody who trusts it has to learn of another",
)

_REQUEST = Resource(
    type="vault_pki_secret_backend_intermediate_cert_request",
    path="{backend}/issuers/generate/intermediate/{type}",
    id="{backend}/issuers/generate/intermediate/{type}/{made_up}",
    mount="backend",
    constants={"type": "internal"},
    fields={
        **_SUBJECT,
        **_NEW_KEY,
        "add_basic_constraints": _fixed(FLAG),
        "signature_bits": _fixed(NUMBER),
        "serial_number": _unused(),
        "managed_key_id": _unused(),
        "managed_key_name": _unused(),
        "csr": Field(PEM, output=True),
        "private_key": Field(TEXT, output=True, sensitive=True),
        "private_key_type": Field(TEXT, output=True),
    },
    writes=(Write("{backend}/issuers/generate/intermediate/{type}", on=("create",), once=True),),
    reads=(),
    exists="{backend}/cert/ca",
    gone=_NO_ISSUER,
    adopt="create",
    kept=True,
)

_SIGN = Resource(
    type="vault_pki_secret_backend_root_sign_intermediate",
    path="{backend}/{common_name}",
    mount="backend",
    version=2,
    constants={"format": "pem_bundle", "revoke": True},
    fields={
        **_SUBJECT,
        **_CONSTRAINTS,
        "ttl": _fixed(DURATION, default="43800h", only={"not_after": None}),
        **_ISSUED,
        "csr": _unused(PEM, required=True),
        "format": _unused(_FORMAT, default="pem"),
        "revoke": Field(FLAG, readable=False, yaml=False),
        "issuer_ref": _fixed(TEXT),
        "signature_bits": _unused(NUMBER),
        "skid": _unused(),
        "use_csr_values": _unused(FLAG),
        "ca_chain": Field(LIST, output=True),
        "certificate_bundle": Field(PEM, api="certificate", output=True),  # what the format pem_bundle answers
    },
    writes=(
        Write(
            "{backend}/root/sign-intermediate",
            tuple(name for name in (*_SUBJECT, *_CONSTRAINTS, "csr", "format", "issuer_ref", "use_csr_values")),
            on=("create",),
            once=True,
        ),
    ),
    reads=(),
    adopt="create",
    delete=Write("{backend}/revoke", ("serial_number",)),
    gone=("not found",),  # whoever signed it was made anew
    after=("vault_pki_secret_backend_root_cert", "vault_pki_secret_backend_config_urls"),
    loses="its certificate is revoked: what it signed is trusted no more",
)

_SET_SIGNED = Resource(
    type="vault_pki_secret_backend_intermediate_set_signed",
    path="{backend}/intermediate/set-signed",
    id="{backend}/intermediate/set-signed/{made_up}",
    mount="backend",
    fields={
        "signed_certificate": _fixed(PEM, terraform="certificate", api="certificate", required=True, file=True),
        "imported_issuers": Field(LIST, output=True),
        "imported_keys": Field(LIST, output=True),
    },
    writes=(Write("{backend}/intermediate/set-signed", on=("create",), once=True),),
    reads=(),
    adopt="create",
    kept=True,
    after=(_REQUEST.type,),
)


def _words(value: Json) -> str:
    """A set of words as one text.

    >>> _words(["read-only", "crl-signing"]), _words("read-only,crl-signing")
    ('crl-signing,read-only', 'crl-signing,read-only')
    """
    return ",".join(sorted(value.split(",") if isinstance(value, str) and value else value or []))


_USAGES = ["crl-signing", "issuing-certificates", "ocsp-signing", "read-only"]
_USAGE = Shape(
    "string",
    {"type": "array", "items": {"enum": _USAGES}, "uniqueItems": True},
    f"a list out of {', '.join(_USAGES)}",
    _words,
    _words,
    "",
)
_CASELESS = replace(TEXT, canon=lambda value: (value or "").lower())
_IDS = replace(
    LIST,
    schema={"type": "array", "items": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}},
    expected="a list of issuers' ids, as the server keeps them",
)

_ISSUER = Resource(
    type="vault_pki_secret_backend_issuer",
    path="{backend}/issuer/{issuer_ref}",
    mount="backend",
    name="issuer_ref",
    fields={
        "issuer_name": Field(
            TEXT, by_name=lambda name: None if name == "default" else name
        ),  # a write without clears it
        "leaf_not_after_behavior": Field(
            choice("err", "truncate", "permit", "always_enforce_err"),
            default="err",
            computed=True,
            lacking={"always_enforce_err": {"openbao": "OpenBao has no such behaviour; write err"}},
        ),
        "usage": Field(_USAGE, default=_USAGES, computed=True),
        "manual_chain": Field(_IDS),
        "revocation_signature_algorithm": Field(_CASELESS, default="", computed=True),
        **{name: Field(LIST) for name in ("issuing_certificates", "crl_distribution_points", "ocsp_servers")},
        "enable_aia_url_templating": Field(FLAG, absent=_NO_SUCH),
        **{
            f"disable_{name}_checks": Field(FLAG, absent=_NO_SUCH_CHECKS)
            for name in ("critical_extension", "name", "name_constraint", "path_length")
        },
        "issuer_id": Field(TEXT, output=True),
    },
    writes=(
        Write("{backend}/issuer/{issuer_ref}", on=("create",)),
        Write("{backend}/issuer/{issuer_ref}", on=("update",), method="PATCH"),
    ),
    gone=_UNKNOWN_ISSUER,
    after=(_ROOT.type, _SET_SIGNED.type),
    loses="the issuer itself goes with it, not these settings alone",
)

_DEFAULT_ISSUER = Resource(
    type="vault_pki_secret_backend_config_issuers",
    path="{backend}/config/issuers",
    mount="backend",
    fields={
        "default": Field(TEXT, names="issuers", by="issuer_id"),
        "default_follows_latest_issuer": Field(FLAG, default=False, computed=True),
    },
    writes=(Write("{backend}/config/issuers"),),
    adopt="create",
    kept=True,
    after=(_ISSUER.type,),
)

ROOT = Object(key="root", single=True, required=("common_name", "ttl"), parts=(Part(_ROOT),))
INTERMEDIATE = Object(
    key="intermediate",
    single=True,
    required=("common_name",),
    one_of=(("signed_by", "signed_certificate"),),
    extra={"signed_by": Field(TEXT, names="mount:pki")},
    parts=(
        Part(_REQUEST),
        Part(_SIGN, {"csr": (_REQUEST.type, "csr")}, mount="signed_by", when="signed_by"),
        Part(_SET_SIGNED, {"certificate": (_SIGN.type, "certificate_bundle")}, when="signed_by"),
        Part(_SET_SIGNED, when="signed_certificate", block="by_hand"),
    ),
    waits=Waits(
        until=("signed_by", "signed_certificate"),
        output="csr",
        words="have this request signed by the CA outside, then write the certificate as signed_certificate: file:PATH",
    ),
)
ISSUERS = Object(key="issuers", parts=(Part(_ISSUER),))
DEFAULT_ISSUER = Object(key="default_issuer", single=True, required=("default",), parts=(Part(_DEFAULT_ISSUER),))
