"""PKI: short-lived certificates, issued by role, under a root or an intermediate of this server."""

from __future__ import annotations

from orchestrator.catalog.pki_authority import DEFAULT_ISSUER, INTERMEDIATE, ISSUERS, ROOT
from orchestrator.catalog.pki_roles import ROLES
from orchestrator.catalog.pki_settings import ACME, ACME_HEADERS, AUTO_TIDY, CLUSTER, CRL, URLS
from orchestrator.catalog.shared import SECRETS_MOUNT
from orchestrator.model import Kind, Leak, Write

PKI = Kind(
    name="pki",
    family="secrets",
    inward=True,
    canary="orchestrator.live.canaries.pki:trials",
    summary="Short-lived certificates, issued by role.",
    mount=SECRETS_MOUNT,
    leaks={
        "certificate": Leak(
            "orchestrator.incident.kinds.pki:scope",
            ("certificate", "issuer"),
            needs=(
                Write("{mount}/issuers", method="LIST"),
                *(Write(f"{{mount}}/{path}", method="GET") for path in ("issuer/{id}", "cert/{id}", "config/crl")),
                Write("{mount}/issuer/{id}/revoke"),
            ),
        )
    },
    one_of=(("root", "intermediate"),),
    objects=(ROOT, INTERMEDIATE, ISSUERS, DEFAULT_ISSUER, URLS, CRL, CLUSTER, ACME, AUTO_TIDY, ROLES),
    example={
        "type": "pki",
        "max_lease_ttl": "87600h",
        "allowed_response_headers": list(ACME_HEADERS),
        "root": {"common_name": "Example Root CA", "ttl": "87600h", "key_type": "ec", "key_bits": 256},
        "issuers": {
            "default": {
                "issuer_name": "root-2026",
                "leaf_not_after_behavior": "truncate",
                "revocation_signature_algorithm": "ecdsawithsha256",
                "usage": ["crl-signing", "issuing-certificates", "read-only"],
                "ocsp_servers": ["https://vault.example.org/v1/pki/ocsp"],
            }
        },
        "default_issuer": {"default": "default", "default_follows_latest_issuer": True},
        "urls": {
            "issuing_certificates": ["https://vault.example.org/v1/pki/ca"],
            "crl_distribution_points": ["https://vault.example.org/v1/pki/crl"],
        },
        "crl": {"expiry": "72h", "auto_rebuild": True, "auto_rebuild_grace_period": "12h"},
        "cluster": {"path": "https://vault.example.org/v1/pki", "aia_path": "http://pki.example.org"},
        "acme": {
            "enabled": True,
            "allowed_roles": ["web"],
            "default_directory_policy": "role:web",
            "eab_policy": "new-account-required",
            "dns_resolver": "192.0.2.53:53",
        },
        "auto_tidy": {
            "enabled": True,
            "tidy_cert_store": True,
            "tidy_revoked_certs": True,
            "interval_duration": "6h",
            "safety_buffer": "24h",
            "pause_duration": "1s",
        },
        "roles": {
            "web": {
                "allowed_domains": ["example.org"],
                "allow_subdomains": True,
                "key_type": "ec",
                "key_bits": 256,
                "ttl": "24h",
                "max_ttl": "72h",
                "organization": ["Example"],
                "policy_identifiers": ["1.3.6.1.4.1.32473.1.1"],
            },
            "legacy": {
                "allowed_domains": ["example.org"],
                "allow_bare_domains": True,
                "key_type": "rsa",
                "policy_identifier": [{"oid": "1.3.6.1.4.1.32473.1.2", "cps": "https://pki.example.org/cps"}],
            },
        },
    },
)
