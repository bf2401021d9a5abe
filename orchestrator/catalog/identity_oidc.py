"""The server as an OpenID Connect provider: keys, tokens for entities, and logins to applications."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.model import Field, Gives, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, SECONDS, SET, TEXT, choice, seconds

if TYPE_CHECKING:
    from orchestrator.documents import Json

_KEY = "identity/oidc/key/{name}"
_ROLE = "identity/oidc/role/{name}"
_SCOPE = "identity/oidc/scope/{name}"
_ASSIGNMENT = "identity/oidc/assignment/{name}"
_CLIENT = "identity/oidc/client/{name}"
_PROVIDER = "identity/oidc/provider/{name}"
_ALGORITHM = choice("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA")
_SHORT = Limit(
    "long-identity-token",
    lambda value: seconds(value) <= seconds("24h"),
    "a signed token cannot be revoked: whoever has a copy is believed until it expires",
)
_EXACT = Limit(
    "wildcard-redirect",
    lambda value: not any("*" in uri for uri in value),
    "a wildcard lets whoever owns one page below it take the login",
)


def _host(value: Json) -> str:
    """The host of an issuer, however much of its address stands around it.

    >>> _host("https://vault.example.org:8200/v1/identity/oidc/provider/main"), _host("vault.example.org"), _host(None)
    ('vault.example.org:8200', 'vault.example.org', '')
    """
    text = value or ""
    return urlsplit(text).netloc if "://" in text else text


def _secure(value: Json) -> bool:
    return value.startswith("https://") if isinstance(value, str) else bool(value)


def _issuer(body: dict[str, Json]) -> dict[str, Json]:
    """The issuer's address out of the two settings that Terraform has for it; empty is the server's own."""
    secure, host = body.pop("https_enabled", True), body.pop("issuer_host", "")
    return {**body, "issuer": f"{'https' if secure else 'http'}://{host}" if host else ""}


KEY = Resource(
    type="vault_identity_oidc_key",
    path=_KEY,
    name="name",
    id="{name}",
    fields={
        "algorithm": Field(_ALGORITHM, default="RS256"),
        "rotation_period": Field(SECONDS, default="24h"),
        "verification_ttl": Field(SECONDS, default="24h"),
        "allowed_client_ids": Field(SET, computed=True, yaml=False, readable=False),
    },
    writes=(Write(_KEY, ("algorithm", "rotation_period", "verification_ttl"), always=True),),
)

ALLOWED = Resource(
    type="vault_identity_oidc_key_allowed_client_id",
    path="identity/oidc/key/{key_name}",
    id="{key_name}/{allowed_client_id}",
    item="allowed_client_ids",
    fields={
        "key": Field(TEXT, "key_name", required=True, replace=True, readable=False, names="keys"),
        "allowed_client_id": Field(TEXT, required=True, replace=True, yaml=False, readable=False),
    },
    reads=("identity/oidc/key/{key_name}",),
    adopt="create",
    after=(KEY.type,),
)

ROLE = Resource(
    type="vault_identity_oidc_role",
    path=_ROLE,
    name="name",
    id="{name}",
    fields={
        "key": Field(TEXT, required=True, names="keys"),
        "template": Field(TEXT),
        "ttl": Field(SECONDS, default="1h", official=86400, limit=_SHORT),
        "client_id": Field(TEXT, computed=True, yaml=False),
    },
    writes=(Write(_ROLE),),
    after=(KEY.type,),
)

SCOPE = Resource(
    type="vault_identity_oidc_scope",
    path=_SCOPE,
    name="name",
    fields={"template": Field(TEXT), "description": Field(TEXT)},
    writes=(Write(_SCOPE, always=True),),
)

ASSIGNMENT = Resource(
    type="vault_identity_oidc_assignment",
    path=_ASSIGNMENT,
    name="name",
    adopt="create",
    fields={
        "entities": Field(SET, "entity_ids", "entity_ids", names="identity/entities", by="id"),
        "groups": Field(SET, "group_ids", "group_ids", names="identity/groups", by="id"),
    },
    writes=(Write(_ASSIGNMENT, always=True),),
)

CLIENT = Resource(
    type="vault_identity_oidc_client",
    path=_CLIENT,
    name="name",
    adopt="create",
    fields={
        "key": Field(TEXT, default="default", computed=True, replace=True, names="keys", besides=("default",)),
        "redirect_uris": Field(SET, limit=_EXACT),
        "assignments": Field(SET, names="assignments", besides=("allow_all",)),
        "client_type": Field(choice("confidential", "public"), default="confidential", computed=True, replace=True),
        "id_token_ttl": Field(SECONDS, default="1h", official=86400, computed=True, limit=_SHORT),
        "access_token_ttl": Field(SECONDS, default="1h", official=86400, computed=True, limit=_SHORT),
        "client_id": Field(TEXT, output=True),
        "client_secret": Field(TEXT, output=True, sensitive=True, readable=False),  # never into our state
    },
    writes=(Write(_CLIENT),),
    after=(KEY.type, ASSIGNMENT.type),
)

PROVIDER = Resource(
    type="vault_identity_oidc_provider",
    path=_PROVIDER,
    name="name",
    adopt="create",
    fields={
        "issuer_host": Field(replace(TEXT, canon=_host, render=_host), api="issuer", unsaid=True, sent="issuer_host"),
        "https_enabled": Field(
            replace(FLAG, canon=_secure, render=_secure, zero=True), api="issuer", sent="https_enabled", unsaid=True
        ),
        "allowed_clients": Field(SET, "allowed_client_ids", "allowed_client_ids", names="clients", by="client_id"),
        "scopes_supported": Field(SET, names="scopes"),
        "issuer": Field(TEXT, output=True),
    },
    writes=(Write(_PROVIDER, always=True, form=_issuer),),
    after=(SCOPE.type,),
)

ISSUER = Resource(
    type="vault_identity_oidc",
    path="identity/oidc/config",
    id="{address}",
    import_id="identity/oidc/config",
    adopt="create",
    fields={"issuer": Field(TEXT, default="", computed=True)},
    writes=(Write("identity/oidc/config"),),
    delete=Write("identity/oidc/config", data={"issuer": ""}),
)

_ROTATED = (
    "the server keeps no list of what it signed: `bao write identity/oidc/key/{key}/rotate verification_ttl=0` ends "
    "all that the key signed, for whoever asks for its keys again"
)
_ID_TOKEN = Gives("id token", untold=_ROTATED)

IDENTITY_OIDC = Kind(
    name="identity_oidc",
    family="system",
    summary="The server as an OpenID Connect provider: signed tokens for entities, and logins to applications.",
    objects=(
        Object(key="config", single=True, parts=(Part(ISSUER),)),
        Object(
            key="keys",
            list="identity/oidc/key",
            ignore=frozenset({"default"}),
            gives=(replace(_ID_TOKEN, untold=_ROTATED.replace("{key}", "{name}")),),
            parts=(Part(KEY),),
        ),
        Object(
            key="roles",
            list="identity/oidc/role",
            gives=(_ID_TOKEN,),
            required=("key",),
            parts=(Part(ROLE), Part(ALLOWED, {"allowed_client_id": (ROLE.type, "client_id")}, block="roles")),
        ),
        Object(key="scopes", list="identity/oidc/scope", required=("template",), parts=(Part(SCOPE),)),
        Object(
            key="assignments",
            list="identity/oidc/assignment",
            ignore=frozenset({"allow_all"}),
            parts=(Part(ASSIGNMENT),),
        ),
        Object(
            key="clients",
            list="identity/oidc/client",
            required=("redirect_uris",),
            parts=(
                Part(CLIENT),
                Part(ALLOWED, {"allowed_client_id": (CLIENT.type, "client_id")}, block="clients", when="key"),
            ),
        ),
        Object(key="providers", list="identity/oidc/provider", ignore=frozenset({"default"}), parts=(Part(PROVIDER),)),
    ),
    example={
        "config": {"issuer": "https://vault.example.org:8200"},
        "keys": {"apps": {"algorithm": "ES256", "rotation_period": "12h", "verification_ttl": "24h"}},
        "roles": {"services": {"key": "apps", "ttl": "30m", "template": '{"team": {{identity.entity.metadata.team}}}'}},
        "scopes": {
            "teams": {"template": '{"groups": {{identity.entity.groups.names}}}', "description": "names of groups"}
        },
        "assignments": {"engineers": {"groups": ["engineers"], "entities": ["ada"]}},
        "clients": {
            "dashboard": {
                "key": "apps",
                "redirect_uris": ["https://dashboard.example.org/callback"],
                "assignments": ["engineers"],
                "id_token_ttl": "30m",
                "access_token_ttl": "30m",
            }
        },
        "providers": {
            "main": {
                "issuer_host": "vault.example.org:8200",
                "allowed_clients": ["dashboard"],
                "scopes_supported": ["teams"],
            }
        },
    },
)
