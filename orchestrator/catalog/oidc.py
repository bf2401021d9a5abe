"""OIDC: people log in in their browser, with the provider that knows them."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.jwt import ROLE, TOKENS, mount
from orchestrator.catalog.shared import SHUT
from orchestrator.model import Field, Kind, Limit, Object, Part
from orchestrator.shapes import SET, choice

_WHOLE = Limit(
    "redirect-wildcard",
    lambda uris: not any("*" in uri for uri in uris),
    "a redirect address with * hands the code of a login to every page that fits it",
)

OIDC = Kind(
    name="oidc",
    family="auth",
    canary="orchestrator.live.canaries.oidc:trials",
    summary="People log in in their browser, with the provider that knows them.",
    mount=mount("oidc", "jwks_url", "jwks_ca_pem", "jwks_pairs", "jwt_validation_pubkeys"),
    required=("config", "config.oidc_discovery_url", "config.oidc_client_id", "config.oidc_client_secret"),
    objects=(
        Object(
            key="roles",
            list="auth/{mount}/role",
            gives=(TOKENS,),
            shut=SHUT,
            lower=True,
            required=("user_claim", "allowed_redirect_uris"),
            parts=(
                Part(
                    replace(
                        ROLE,
                        fields={
                            **ROLE.fields,
                            "role_type": Field(choice("oidc", "jwt"), default="oidc", computed=True),
                            "allowed_redirect_uris": Field(SET, limit=_WHOLE),
                        },
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "oidc",
        "listing_visibility": "unauth",
        "config": {
            "oidc_discovery_url": "${LOCAL_OIDC}",
            "oidc_client_id": "vault",
            "oidc_client_secret": "env:OIDC_CLIENT_SECRET",
            "oidc_response_mode": "query",
            "oidc_response_types": ["code"],
            "jwt_supported_algs": ["RS256"],
            "default_role": "people",
        },
        "roles": {
            "people": {
                "user_claim": "sub",
                "groups_claim": "groups",
                "oidc_scopes": ["email", "groups"],
                "allowed_redirect_uris": [
                    "http://localhost:8250/oidc/callback",
                    "https://vault.example.org/ui/vault/auth/oidc/oidc/callback",
                ],
                "bound_claims": {"email_verified": "true"},
                "claim_mappings": {"email": "email"},
                "max_age": 3600,
                "token_policies": ["payments-read"],
                "token_ttl": "1h",
                "token_max_ttl": "8h",
            }
        },
    },
)
