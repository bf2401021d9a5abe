"""JWT: workloads log in with a token signed by a platform we trust."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_FIELDS, AUTH_GONE, AUTH_WRITES, TOKEN
from orchestrator.model import (
    CLAIMS,
    FLAG,
    LIST,
    MAP,
    PEM,
    PEMS,
    SET,
    SIGNED,
    TEXT,
    Field,
    Kind,
    Object,
    Part,
    Resource,
    Write,
    choice,
)

_CONFIG = {
    "config.bound_issuer": Field(TEXT),
    "config.default_role": Field(TEXT, names="roles"),
    "config.jwks_url": Field(TEXT),
    "config.jwks_ca_pem": Field(PEM),
    "config.jwt_supported_algs": Field(LIST),
    "config.jwt_validation_pubkeys": Field(PEMS),
    "config.oidc_discovery_url": Field(TEXT),
    "config.oidc_discovery_ca_pem": Field(PEM),
    "config.provider_config": Field(MAP),
    "config.namespace_in_state": Field(FLAG, default=True),
}
_OIDC_ONLY = {
    "jwks_pairs": Field(replace(MAP, cty=["list", ["map", "string"]], zero=[]), yaml=False, readable=False),
    "oidc_client_id": Field(TEXT, yaml=False),
    "oidc_client_secret": Field(TEXT, yaml=False, readable=False, sensitive=True),
    "oidc_client_secret_stored": Field(
        TEXT, "oidc_client_secret_wo", "oidc_client_secret", secret=True, sensitive=True, yaml=False
    ),
    "oidc_response_mode": Field(TEXT, yaml=False),
    "oidc_response_types": Field(LIST, yaml=False),
}
_ROLE = "auth/{backend}/role/{role_name}"
_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""

JWT_MOUNT = Resource(
    type="vault_jwt_auth_backend",
    path="sys/mounts/auth/{path}",
    mount="path",
    mount_default="jwt",
    id="{path}",
    version=1,
    fields={
        "type": Field(TEXT, default="jwt", replace=True, yaml=False),
        **AUTH_FIELDS,
        **_CONFIG,
        **_OIDC_ONLY,
    },
    reads=("sys/mounts/auth/{path}", "auth/{path}/config"),
    writes=(
        *AUTH_WRITES,
        Write("auth/{path}/config", tuple(name.rpartition(".")[2] for name in (*_CONFIG, *_OIDC_ONLY))),
    ),
    delete=Write("sys/auth/{path}", method="DELETE"),
    gone=AUTH_GONE,
    groups={"tune": "attribute"},
)

JWT = Kind(
    name="jwt",
    family="auth",
    canary="orchestrator.live.canaries.jwt:trials",
    summary="Workloads log in with a token signed by a platform that is trusted.",
    mount=JWT_MOUNT,
    required=("config",),
    objects=(
        Object(
            key="roles",
            list="auth/{mount}/role",
            lower=True,
            required=("user_claim",),
            parts=(
                Part(
                    Resource(
                        type="vault_jwt_auth_backend_role",
                        path=_ROLE,
                        mount="backend",
                        mount_default="jwt",
                        name="role_name",
                        fields={
                            "role_type": Field(choice("jwt", "oidc"), default="jwt", computed=True),
                            "user_claim": Field(TEXT, required=True),
                            "user_claim_json_pointer": Field(FLAG),
                            "bound_audiences": Field(SET),
                            "bound_subject": Field(TEXT),
                            "bound_claims": Field(CLAIMS),
                            "bound_claims_type": Field(choice("string", "glob"), default="string", computed=True),
                            "disable_bound_claims_parsing": Field(FLAG, yaml=False, readable=False),
                            "claim_mappings": Field(MAP),
                            "groups_claim": Field(TEXT),
                            "clock_skew_leeway": Field(SIGNED),
                            "expiration_leeway": Field(SIGNED),
                            "not_before_leeway": Field(SIGNED),
                            "max_age": Field(SIGNED),
                            "oidc_scopes": Field(SET),
                            "allowed_redirect_uris": Field(SET),
                            "verbose_oidc_logging": Field(FLAG),
                            **TOKEN,
                        },
                        writes=(Write(_ROLE),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "jwt",
        "config": {"bound_issuer": "https://ci.example.org", "jwt_validation_pubkeys": [_KEY]},
        "roles": {
            "deploy": {
                "user_claim": "sub",
                "bound_audiences": ["vault"],
                "bound_claims": {"project": ["orders", "payments"], "ref": "main"},
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
            }
        },
    },
)
