"""PKI's own settings: where its certificates and lists are found, ACME, and what it tidies away."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model import Field, Fields, Limit, Object, Part, Resource, Write
from orchestrator.shapes import DURATION, FLAG, LIST, SECONDS, SECONDS_TEXT, SIGNED, TEXT, choice

_NO_SUCH = {"openbao": "OpenBao has no such setting; leave it out"}
_VERBATIM = Limit(
    "pki-acme-verbatim",
    lambda value: value != "sign-verbatim",
    "clients would get whatever they ask for, past every role; write forbid, or role:NAME",
)


def _config(type_: str, path: str, fields: Fields, after: tuple[str, ...] = ()) -> Resource:
    """Settings that a mount always has: they are written over, and stay when nobody declares them."""
    where = f"{{backend}}/config/{path}"
    return Resource(
        type=f"vault_pki_secret_backend_{type_}",
        path=where,
        mount="backend",
        fields=fields,
        writes=(Write(where, always=True),),
        adopt="create",
        kept=True,
        after=after,
    )


_URLS = _config(
    "config_urls",
    "urls",
    {
        "issuing_certificates": Field(LIST),
        "crl_distribution_points": Field(LIST),
        "ocsp_servers": Field(LIST),
        "enable_templating": Field(FLAG),
    },
)
_CRL = _config(
    "crl_config",
    "crl",
    {
        "expiry": Field(DURATION, default="72h"),
        "disable": Field(FLAG),
        "auto_rebuild": Field(FLAG, default=True, official=False),
        "auto_rebuild_grace_period": Field(DURATION, default="12h", computed=True),
        "enable_delta": Field(FLAG),
        "delta_rebuild_interval": Field(DURATION, default="15m", computed=True),
        "ocsp_disable": Field(FLAG),
        "ocsp_expiry": Field(DURATION, default="12h", computed=True),
        "max_crl_entries": Field(SIGNED, default=100_000, computed=True, absent=_NO_SUCH),
        "cross_cluster_revocation": Field(FLAG, computed=True, yaml=False, readable=False),
        "unified_crl": Field(FLAG, computed=True, yaml=False, readable=False),
        "unified_crl_on_existing_paths": Field(FLAG, computed=True, yaml=False, readable=False),
    },
)
_URL = replace(TEXT, schema={"type": "string", "pattern": "^https?://[^/]"}, expected="a URL", zero=None)
_CLUSTER = _config(
    "config_cluster", "cluster", {"path": Field(_URL), "aia_path": Field(_URL, lasting=True)}
)  # the server refuses an empty one
_DIRECTORY = replace(
    TEXT,
    schema={"type": "string", "pattern": "^(forbid|sign-verbatim|role:.+|external-policy(:.+)?)$"},
    expected="forbid, sign-verbatim, role:NAME or external-policy",
)
_ACME = _config(
    "config_acme",
    "acme",
    {
        "enabled": Field(FLAG, default=False, required=True),
        "allowed_roles": Field(LIST, default=["*"], computed=True, names="roles"),
        "allowed_issuers": Field(LIST, default=["*"], computed=True),
        "default_directory_policy": Field(
            _DIRECTORY, default="forbid", computed=True, limit=_VERBATIM, names="roles", prefix="role:"
        ),
        "allow_role_ext_key_usage": Field(FLAG),
        "dns_resolver": Field(TEXT),
        "eab_policy": Field(
            choice("not-required", "new-account-required", "always-required"), default="not-required", computed=True
        ),
        "max_ttl": Field(SECONDS, default="2160h", computed=True, absent=_NO_SUCH),
        "challenge_permitted_ip_ranges": Field(LIST, absent=_NO_SUCH),
        "challenge_excluded_ip_ranges": Field(LIST, absent=_NO_SUCH),
    },
    after=(  # the server asks for the path, the roles and the issuers that it names
        _CLUSTER.type,
        "vault_pki_secret_backend_role",
        "vault_pki_secret_backend_issuer",
    ),
)
_TIDIED = (
    "tidy_cert_store",
    "tidy_revoked_certs",
    "tidy_revoked_cert_issuer_associations",
    "tidy_expired_issuers",
    "tidy_move_legacy_ca_bundle",
    "tidy_acme",
    "maintain_stored_certificate_counts",
    "publish_stored_certificate_count_metrics",
)
_VAULT_TIDIES = (
    "tidy_cert_metadata",
    "tidy_cmpv2_nonce_store",
    "tidy_cross_cluster_revoked_certs",
    "tidy_revocation_queue",
)
_BUFFERS = {
    "interval_duration": "12h",
    "safety_buffer": "72h",
    "issuer_safety_buffer": "8760h",
    "acme_account_safety_buffer": "720h",
}
_VAULT_BUFFERS = {
    "revocation_queue_safety_buffer": "48h",
    "min_startup_backoff_duration": "5m",
    "max_startup_backoff_duration": "15m",
}
_AUTO_TIDY = _config(
    "config_auto_tidy",
    "auto-tidy",
    {
        "enabled": Field(FLAG, default=False, required=True),
        **{name: Field(FLAG) for name in _TIDIED},
        **{name: Field(FLAG, absent=_NO_SUCH) for name in _VAULT_TIDIES},
        **{name: Field(SECONDS_TEXT, default=default, computed=True) for name, default in _BUFFERS.items()},
        **{
            name: Field(SECONDS_TEXT, default=default, computed=True, absent=_NO_SUCH)
            for name, default in _VAULT_BUFFERS.items()
        },
        "pause_duration": Field(DURATION, default="0s", computed=True),
    },
)

ACME_HEADERS = ("Last-Modified", "Link", "Location", "Replay-Nonce")
URLS = Object(key="urls", single=True, always=True, parts=(Part(_URLS),))
CRL = Object(key="crl", single=True, always=True, parts=(Part(_CRL),))
CLUSTER = Object(key="cluster", single=True, required=("path",), parts=(Part(_CLUSTER),))
ACME = Object(
    key="acme",
    single=True,
    always=True,
    required=("enabled",),
    absent={"vault<1.14": "Vault has ACME from 1.14 on; leave it out"},
    needs={"cluster": (), "allowed_response_headers": ACME_HEADERS},  # without them no client finds its nonce
    parts=(Part(_ACME),),
)
AUTO_TIDY = Object(key="auto_tidy", single=True, always=True, required=("enabled",), parts=(Part(_AUTO_TIDY),))
