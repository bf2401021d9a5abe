"""PKI: short-lived certificates, issued by role, under a root or an intermediate of this server."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import SECRETS_MOUNT
from orchestrator.model import (
    DURATION,
    FLAG,
    LIST,
    NUMBER,
    PEM,
    SECONDS_TEXT,
    SIGNED,
    TEXT,
    Field,
    Kind,
    Object,
    Part,
    Resource,
    Shape,
    Write,
    choice,
)

_ROLE = "{backend}/roles/{name}"
_VAULT_ONLY = {"openbao": "OpenBao has no such setting; leave it out"}
_KEY_TYPE = choice("rsa", "ec", "ed25519")
_FORMAT = choice("pem", "der", "pem_bundle")


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
    "key_bits": _fixed(NUMBER, default=256, official=2048),
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

ROOT = Resource(
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
    writes=(Write("{backend}/issuers/generate/root/{type}", on=("create",)),),
    exists="{backend}/cert/ca",
    gone=(
        "unable to find issuer",
        "unable to find PKI issuer",
        "unable to fetch default issuer",
        "no default issuer",
        "no handler for route",
    ),
    adopt="leave",
    after=("vault_pki_secret_backend_config_urls",),
)

REQUEST = Resource(
    type="vault_pki_secret_backend_intermediate_cert_request",
    path="{backend}/issuers/generate/intermediate/{type}",
    id="{backend}/issuers/generate/intermediate/{type}/{made_up}",
    mount="backend",
    constants={"type": "internal"},
    fields={
        **{name: one for name, one in _SUBJECT.items() if name not in ("alt_names", "ip_sans", "uri_sans")},
        **{name: _fixed(LIST) for name in ("alt_names", "ip_sans", "uri_sans")},
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
    writes=(Write("{backend}/issuers/generate/intermediate/{type}", on=("create",)),),
    reads=(),
    exists="{backend}/cert/ca",
    gone=("unable to fetch default issuer", "no default issuer", "no handler for route"),
    adopt="create",
    kept=True,
)

SIGN = Resource(
    type="vault_pki_secret_backend_root_sign_intermediate",
    path="{backend}/{common_name}",
    mount="backend",
    version=2,
    constants={"format": "pem_bundle", "revoke": True},
    fields={
        **_SUBJECT,
        **_CONSTRAINTS,
        **_ISSUED,
        "csr": _unused(PEM, required=True),
        "format": _unused(_FORMAT, default="pem"),
        "revoke": Field(FLAG, readable=False, yaml=False),
        "issuer_ref": _unused(),
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
        ),
    ),
    reads=(),
    adopt="create",
    delete=Write("{backend}/revoke", ("serial_number",)),
    after=("vault_pki_secret_backend_root_cert", "vault_pki_secret_backend_config_urls"),
)

SET_SIGNED = Resource(
    type="vault_pki_secret_backend_intermediate_set_signed",
    path="{backend}/intermediate/set-signed",
    id="{backend}/intermediate/set-signed/{made_up}",
    mount="backend",
    fields={
        "certificate": _unused(PEM, required=True),
        "imported_issuers": Field(LIST, output=True),
        "imported_keys": Field(LIST, output=True),
    },
    writes=(Write("{backend}/intermediate/set-signed", on=("create",)),),
    reads=(),
    adopt="create",
    kept=True,
)

URLS = Resource(
    type="vault_pki_secret_backend_config_urls",
    path="{backend}/config/urls",
    mount="backend",
    fields={
        "issuing_certificates": Field(LIST),
        "crl_distribution_points": Field(LIST),
        "ocsp_servers": Field(LIST),
        "enable_templating": Field(FLAG),
    },
    writes=(Write("{backend}/config/urls", always=True),),
    adopt="create",
    kept=True,
)

CRL = Resource(
    type="vault_pki_secret_backend_crl_config",
    path="{backend}/config/crl",
    mount="backend",
    fields={
        "expiry": Field(DURATION, default="72h"),
        "disable": Field(FLAG),
        "auto_rebuild": Field(FLAG, default=True, official=False),
        "auto_rebuild_grace_period": Field(DURATION, default="12h", computed=True),
        "enable_delta": Field(FLAG),
        "delta_rebuild_interval": Field(DURATION, default="15m", computed=True),
        "ocsp_disable": Field(FLAG),
        "ocsp_expiry": Field(DURATION, default="12h", computed=True),
        "max_crl_entries": Field(SIGNED, computed=True, absent=_VAULT_ONLY),
        "cross_cluster_revocation": Field(FLAG, computed=True, yaml=False, readable=False),
        "unified_crl": Field(FLAG, computed=True, yaml=False, readable=False),
        "unified_crl_on_existing_paths": Field(FLAG, computed=True, yaml=False, readable=False),
    },
    writes=(Write("{backend}/config/crl", always=True),),
    adopt="create",
    kept=True,
)

_ROLE_FLAGS = {
    "allow_any_name": False,
    "allow_bare_domains": False,
    "allow_glob_domains": False,
    "allow_ip_sans": True,
    "allow_localhost": True,
    "allow_subdomains": False,
    "allow_wildcard_certificates": True,
    "allowed_domains_template": False,
    "basic_constraints_valid_for_non_ca": False,
    "client_flag": True,
    "code_signing_flag": False,
    "email_protection_flag": False,
    "enforce_hostnames": True,
    "generate_lease": False,
    "no_store": False,
    "require_cn": True,
    "server_flag": True,
    "use_csr_common_name": True,
    "use_csr_sans": True,
    "use_pss": False,
}
_ROLE_LISTS = (
    "allowed_domains",
    "allowed_other_sans",
    "allowed_serial_numbers",
    "allowed_uri_sans",
    "allowed_user_ids",
    "country",
    "ext_key_usage",
    "ext_key_usage_oids",
    "locality",
    "organization",
    "ou",
    "policy_identifiers",
    "postal_code",
    "province",
    "street_address",
)
_USAGES = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"]
_IDENTIFIERS = Shape(
    None,
    {},
    "",
    list,
    list,
    [],
    element={"oid": ("string", True), "cps": ("string", False), "notice": ("string", False)},
)

ROLE = Resource(
    type="vault_pki_secret_backend_role",
    path=_ROLE,
    mount="backend",
    name="name",
    fields={
        **{name: Field(FLAG, default=default) for name, default in _ROLE_FLAGS.items()},
        "allowed_uri_sans_template": Field(FLAG, default=False, computed=True),
        **{name: Field(LIST) for name in _ROLE_LISTS},
        "policy_identifier": Field(_IDENTIFIERS, yaml=False, readable=False),
        "key_usage": Field(LIST, default=_USAGES, computed=True),
        "cn_validations": Field(LIST, default=["email", "hostname"], computed=True),
        "key_type": Field(choice("rsa", "ec", "ed25519", "any"), default="ec", official="rsa"),
        "key_bits": Field(NUMBER, default=256, official=2048),
        "signature_bits": Field(NUMBER, computed=True),
        "issuer_ref": Field(TEXT, default="default", computed=True),
        "ttl": Field(SECONDS_TEXT, default=0, computed=True),
        "max_ttl": Field(SECONDS_TEXT, default=0, computed=True),
        "not_before_duration": Field(DURATION, default="30s", computed=True),
        "not_after": Field(TEXT),
        "no_store_metadata": Field(FLAG, absent=_VAULT_ONLY),
        "serial_number_source": Field(TEXT, computed=True, absent=_VAULT_ONLY),
    },
    writes=(Write(_ROLE),),
)

_ROOT_EXAMPLE = {"common_name": "Example Root CA", "ttl": "87600h", "key_type": "ec", "key_bits": 256}

PKI = Kind(
    name="pki",
    family="secrets",
    canary="orchestrator.live.canaries.pki:trials",
    summary="Short-lived certificates, issued by role.",
    mount=SECRETS_MOUNT,
    objects=(
        Object(
            key="root",
            single=True,
            required=("common_name", "ttl"),
            parts=(Part(ROOT),),
        ),
        Object(
            key="intermediate",
            single=True,
            required=("common_name", "ttl", "signed_by"),
            extra={"signed_by": replace(Field(TEXT), names="mount:pki")},
            parts=(
                Part(REQUEST),
                Part(SIGN, {"csr": (REQUEST.type, "csr")}, mount="signed_by"),
                Part(SET_SIGNED, {"certificate": (SIGN.type, "certificate_bundle")}),
            ),
        ),
        Object(key="urls", single=True, always=True, parts=(Part(URLS),)),
        Object(key="crl", single=True, always=True, parts=(Part(CRL),)),
        Object(key="roles", list="{mount}/roles", parts=(Part(ROLE),)),
    ),
    example={
        "type": "pki",
        "max_lease_ttl": "87600h",
        "root": _ROOT_EXAMPLE,
        "urls": {
            "issuing_certificates": ["https://vault.example.org/v1/pki/ca"],
            "crl_distribution_points": ["https://vault.example.org/v1/pki/crl"],
        },
        "crl": {"expiry": "72h", "auto_rebuild": True, "auto_rebuild_grace_period": "12h"},
        "roles": {
            "web": {
                "allowed_domains": ["example.org"],
                "allow_subdomains": True,
                "key_type": "ec",
                "key_bits": 256,
                "ttl": "24h",
                "max_ttl": "72h",
                "organization": ["Example"],
            }
        },
    },
)
