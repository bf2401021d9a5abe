"""Azure: service principals, made, given roles and taken back by the server."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.azure_auth import CLOUD
from orchestrator.catalog.shared import credential, federation, keys, leases, rotation, secrets_engine, turned
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, MAP, SECONDS, SECONDS_TEXT, TEXT, Shape, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

_ROLE = "{backend}/roles/{role}"
_STATIC = "{backend}/static-roles/{role}"
_NO_STATIC = {
    "vault": "Vault has static roles for Azure only in its Enterprise edition; write them under `roles`",
    "vault<1.21": "Vault has static roles for Azure from 1.21; write them under `roles`",
}
_PUBLIC = "AzurePublicCloud"
_AUDIENCE = choice(
    "AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"
)


def _settled(shape: Shape, default: str) -> Shape:
    """A text that the server never takes as empty: nothing said is its default."""
    return replace(shape, canon=lambda value: value or default, zero=default)


def _named(*members: str) -> Shape:
    """A list of maps by name, which the server completes with ids; it takes them as one JSON text."""
    element = {name: ("string", name in {"scope", "group_name"}) for name in members}
    filled = {"role_id": False, "role_name": False, "object_id": True}

    def canon(value: Json) -> list[dict[str, str]]:
        known = [{name: one.get(name) or "" for name in members if not name.endswith("_id")} for one in value or []]
        return sorted(known, key=lambda one: sorted(one.items()))

    def render(value: Json) -> list[dict[str, Json]]:
        return [{name: one.get(name) for name in members if name != "object_id"} for one in value or []]

    def send(value: Json) -> str:
        return json.dumps([{name: one[name] for name in members if one.get(name)} for one in value or []])

    return Shape(
        None,
        {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"type": "string"} for name in members if not name.endswith("_id")},
                "required": [name for name in members if not name.endswith("_id")],
            },
        },
        "a list of maps with " + " and ".join(name for name in members if not name.endswith("_id")),
        canon,
        render,
        [],
        send,
        element,
        filled={name: filled[name] for name in members if name in filled},
    )


_CONFIG = {
    "config.subscription_id": Field(TEXT, required=True, sensitive=True),
    "config.tenant_id": Field(TEXT, required=True, sensitive=True),
    "config.client_id": Field(TEXT, sensitive=True),
    **credential("client_secret", "config."),
    "config.environment": Field(_settled(CLOUD, _PUBLIC)),
    "config.root_password_ttl": Field(SECONDS, default=15768000, computed=True),
    **federation("config."),
    **rotation("config."),
}

AZURE_SECRETS = Kind(
    name="azure",
    family="secrets",
    summary="Service principals, made, given roles and taken back by the server.",
    mount=secrets_engine("vault_azure_secret_backend", "azure", _CONFIG, (Write("{path}/config", keys(_CONFIG)),)),
    required=("config", "config.subscription_id", "config.tenant_id"),
    absent={"openbao": "OpenBao has no azure secrets engine; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="roles",
            gives=(leases("{mount}/creds/{name}", "service principal"),),
            open="Azure is asked for all that a role names, so none can name nothing: take its path from the policies",
            list="{mount}/roles",
            lower=True,
            parts=(
                Part(
                    Resource(
                        type="vault_azure_secret_backend_role",
                        path=_ROLE,
                        leases="{backend}/creds/{role}",
                        mount="backend",
                        mount_default="azure",
                        name="role",
                        fields={
                            "application_object_id": Field(TEXT),
                            "azure_roles": Field(_named("role_id", "role_name", "scope")),
                            "azure_groups": Field(_named("group_name", "object_id")),
                            "ttl": Field(SECONDS_TEXT),
                            "max_ttl": Field(SECONDS_TEXT),
                            "explicit_max_ttl": Field(SECONDS_TEXT),
                            "permanently_delete": Field(FLAG, default=False, computed=True),
                            "persist_app": Field(FLAG),
                            "sign_in_audience": Field(_settled(_AUDIENCE, "AzureADMyOrg")),
                            "tags": Field(LIST),
                            "metadata": Field(MAP, yaml=False, readable=False),
                            "description": Field(TEXT, yaml=False, readable=False),
                        },
                        writes=(
                            Write(
                                _ROLE,
                                (
                                    "application_object_id",
                                    "azure_roles",
                                    "azure_groups",
                                    "ttl",
                                    "max_ttl",
                                    "explicit_max_ttl",
                                    "permanently_delete",
                                    "persist_app",
                                    "sign_in_audience",
                                    "tags",
                                    "metadata",
                                ),
                            ),
                        ),
                    )
                ),
            ),
        ),
        Object(
            key="static_roles",
            gives=(turned("client secret"),),
            list="{mount}/static-roles",
            lower=True,
            required=("application_object_id",),
            absent=_NO_STATIC,
            parts=(
                Part(
                    Resource(
                        type="vault_azure_secret_backend_static_role",
                        path=_STATIC,
                        mount="backend",
                        name="role",
                        takes_id=False,
                        fields={
                            "application_object_id": Field(TEXT, required=True),
                            "ttl": Field(SECONDS, default=31536000, computed=True),
                            "metadata": Field(MAP, default={}, computed=True),
                            "defer_initial_creds": Field(FLAG, readable=False),
                            "secret_id": Field(TEXT, yaml=False, readable=False),
                            "client_secret": Field(TEXT, unversioned=True, sensitive=True, yaml=False, readable=False),
                            "expiration": Field(TEXT, yaml=False, readable=False),
                            "skip_import_rotation": Field(FLAG, yaml=False, readable=False),
                        },
                        writes=(Write(_STATIC),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "azure",
        "description": "credentials for Azure",
        "default_lease_ttl": "30m",
        "max_lease_ttl": "12h",
        "config": {
            "subscription_id": "6a1d5988-5917-4221-b224-904cd7e24a25",
            "tenant_id": "7cd1f227-ca67-4fc6-a1a4-9888ea7f388c",
            "client_id": "dd794de4-4c6c-40b3-a930-d84cd32e9699",
            "client_secret": "env:AZURE_CLIENT_SECRET",
            "environment": "AzurePublicCloud",
            "root_password_ttl": "2160h",
        },
        "roles": {
            "reports": {
                "azure_roles": [
                    {"role_name": "Reader", "scope": "/subscriptions/6a1d5988-5917-4221-b224-904cd7e24a25"},
                ],
                "azure_groups": [{"group_name": "reports"}],
                "ttl": "30m",
                "max_ttl": "8h",
                "permanently_delete": True,
                "sign_in_audience": "AzureADMyOrg",
                "tags": ["team:payments"],
            }
        },
        "static_roles": {
            "mailer": {
                "application_object_id": "4b2d4e3c-7c0b-4a2b-9d1f-3f0a5b1c9e77",
                "metadata": {"team": "payments"},
            }
        },
    },
)
