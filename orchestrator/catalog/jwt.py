"""JWT: workloads log in with a token signed by a platform we trust."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_FIELDS, AUTH_GONE, AUTH_WRITES, SHUT, TOKEN, tokens
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import CLAIMS, FLAG, LIST, MAP, PEM, PEM_PATTERN, PEMS, SET, SIGNED, TEXT, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

_FLAGS = ("fetch_groups", "fetch_user_info")
_NUMBERS = ("groups_recurse_max_depth",)
_LOGGED = Limit("verbose-logging", lambda on: not on, "it writes what every token claims to the server's log")


def _texts(value: Json) -> dict[str, str]:
    """Settings of a platform as Terraform holds them.

    >>> _texts({"provider": "gsuite", "fetch_groups": True, "groups_recurse_max_depth": 5})
    {'fetch_groups': 'true', 'groups_recurse_max_depth': '5', 'provider': 'gsuite'}
    """
    return {key: str(one).lower() if isinstance(one, bool) else str(one) for key, one in sorted((value or {}).items())}


def _typed(value: Json) -> dict[str, Json]:
    """The same as the server takes them.

    >>> _typed({"fetch_groups": "true", "groups_recurse_max_depth": "5", "provider": "gsuite"})
    {'fetch_groups': True, 'groups_recurse_max_depth': 5, 'provider': 'gsuite'}
    """
    flags = {key: one == "true" for key, one in value.items() if key in _FLAGS}
    return {**value, **flags, **{key: int(one) for key, one in value.items() if key in _NUMBERS}}


_PLATFORM = replace(
    MAP,
    schema={**MAP.schema, "propertyNames": {"not": {"const": "gsuite_service_account"}}},
    expected="a map of texts; gsuite_service_account is a secret: leave it to the server's own Google credentials",
    canon=_texts,
    render=_texts,
    send=_typed,
)
_PAIR = {
    "type": "object",
    "properties": {"jwks_url": {"type": "string"}, "jwks_ca_pem": {"type": "string", "pattern": PEM_PATTERN}},
    "required": ["jwks_url"],
    "additionalProperties": False,
}


def _pairs(value: Json) -> list[dict[str, str]]:
    return [{key: str(text).strip() for key, text in sorted(one.items()) if text} for one in value or []]


_PAIRS = replace(
    MAP,
    cty=["list", ["map", "string"]],
    schema={"type": "array", "items": _PAIR},
    expected="a list of maps with jwks_url and jwks_ca_pem",
    canon=_pairs,
    render=_pairs,
    zero=[],
)
_ONE_KEY_SERVER = {"openbao": "OpenBao takes the keys of one server; write jwks_url"}

_RESPONSES = replace(
    LIST,
    schema={**LIST.schema, "items": {"enum": ["code", "id_token"]}},
    expected="a list of code and id_token",
)

CONFIG = {
    "config.bound_issuer": Field(TEXT),
    "config.default_role": Field(TEXT, names="roles"),
    "config.jwks_url": Field(TEXT),
    "config.jwks_ca_pem": Field(PEM),
    "config.jwks_pairs": Field(_PAIRS, absent=_ONE_KEY_SERVER),
    "config.jwt_supported_algs": Field(LIST),
    "config.jwt_validation_pubkeys": Field(PEMS),
    "config.oidc_discovery_url": Field(TEXT),
    "config.oidc_discovery_ca_pem": Field(PEM),
    "config.oidc_client_id": Field(TEXT),
    "config.oidc_client_secret": Field(TEXT, "oidc_client_secret_wo", secret=True, sensitive=True, resent=True),
    "config.oidc_response_mode": Field(choice("query", "form_post")),
    "config.oidc_response_types": Field(_RESPONSES),
    "config.provider_config": Field(_PLATFORM),
    "config.namespace_in_state": Field(FLAG, default=True),
}
_ROLE = "auth/{backend}/role/{role_name}"
_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""


def mount(type_: str, *left_out: str) -> Resource:
    """The mount of one of the two types, whose YAML leaves out settings of its config."""
    hidden = {f"config.{name}": replace(CONFIG[f"config.{name}"], yaml=False) for name in left_out}
    return Resource(
        type="vault_jwt_auth_backend",
        path="sys/mounts/auth/{path}",
        mount="path",
        mount_default="jwt",
        id="{path}",
        version=1,
        constants={"type": type_},
        fields={
            "type": Field(TEXT, default="jwt", replace=True, yaml=False),
            **AUTH_FIELDS,
            **CONFIG,
            **hidden,
            "oidc_client_secret": Field(TEXT, yaml=False, readable=False, sensitive=True),
        },
        reads=("sys/mounts/auth/{path}", "auth/{path}/config"),
        writes=(*AUTH_WRITES, Write("auth/{path}/config", tuple(name.rpartition(".")[2] for name in CONFIG))),
        delete=Write("sys/auth/{path}", method="DELETE"),
        gone=AUTH_GONE,
        groups={"tune": "attribute"},
    )


ROLE = Resource(
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
        "verbose_oidc_logging": Field(FLAG, limit=_LOGGED),
        **TOKEN,
    },
    writes=(Write(_ROLE),),
    after=AFTER_POLICIES,
)

TOKENS = tokens("auth/{mount}/*", role="{name}")  # a login in a browser ends at another path than one by a token

JWT = Kind(
    name="jwt",
    family="auth",
    canary="orchestrator.live.canaries.jwt:trials",
    summary="Workloads log in with a token signed by a platform that is trusted.",
    mount=mount("jwt", "oidc_client_id", "oidc_client_secret", "oidc_response_mode", "oidc_response_types"),
    required=("config",),
    objects=(
        Object(
            key="roles",
            list="auth/{mount}/role",
            lower=True,
            gives=(TOKENS,),
            shut=SHUT,
            required=("user_claim",),
            parts=(Part(ROLE),),
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
