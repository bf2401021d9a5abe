"""Certificates: machines log in with a TLS client certificate."""

from __future__ import annotations

from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_MOUNT, EXAMPLE_CA, SHUT, TOKEN, tokens
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, NUMBER, PEM, SECONDS, SET, TEXT

_ROLE = "auth/{backend}/certs/{name}"
_NOT_HERE = {"openbao": "OpenBao has no such setting; leave it out"}

_NAMES = ("allowed_names", "allowed_common_names", "allowed_dns_sans", "allowed_email_sans", "allowed_uri_sans")

CERT = Kind(
    name="cert",
    family="auth",
    summary="Machines log in with a TLS client certificate.",
    mount=AUTH_MOUNT,
    objects=(
        Object(
            key="roles",
            list="auth/{mount}/certs",
            gives=(tokens("auth/{mount}/login", cert_name="{name}"),),
            shut=SHUT,
            merges=True,
            lower=True,
            required=("certificate",),
            parts=(
                Part(
                    Resource(
                        type="vault_cert_auth_backend_role",
                        path=_ROLE,
                        mount="backend",
                        mount_default="cert",
                        name="name",
                        version=1,
                        fields={
                            "certificate": Field(PEM, required=True),
                            **{name: Field(SET, default=[], computed=True) for name in _NAMES},
                            "allowed_organizational_units": Field(SET),
                            "required_extensions": Field(SET, default=[], computed=True),
                            "display_name": Field(TEXT, by_name=str, computed=True),
                            "ocsp_enabled": Field(FLAG, default=False, computed=True),
                            "ocsp_ca_certificates": Field(PEM),
                            "ocsp_servers_override": Field(SET),
                            "ocsp_fail_open": Field(FLAG, default=False, computed=True),
                            "ocsp_query_all_servers": Field(FLAG, default=False, computed=True),
                            "ocsp_max_retries": Field(NUMBER, default=4, absent=_NOT_HERE),
                            "ocsp_this_update_max_age": Field(SECONDS, absent=_NOT_HERE),
                            **TOKEN,
                        },
                        writes=(Write(_ROLE),),
                        adopt="create",  # the official provider cannot import one
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "cert",
        "roles": {
            "web": {
                "certificate": EXAMPLE_CA,
                "allowed_common_names": ["web.example.org"],
                "allowed_dns_sans": ["*.web.example.org"],
                "allowed_email_sans": ["web@example.org"],
                "allowed_uri_sans": ["spiffe://example.org/web"],
                "allowed_organizational_units": ["payments"],
                "required_extensions": ["1.3.6.1.4.1.11129.2.4.2:*"],
                "display_name": "web",
                "ocsp_enabled": True,
                "ocsp_servers_override": ["https://ocsp.example.org"],
                "ocsp_query_all_servers": True,
                "token_policies": ["payments-read"],
                "token_ttl": "30m",
                "token_max_ttl": "12h",
            }
        },
    },
)
