"""Azure: machines and service principals log in with a token of Microsoft Entra ID."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import (
    AFTER_POLICIES,
    AUTH_MOUNT,
    SHUT,
    TOKEN,
    credential,
    federation,
    rotation,
    tokens,
)
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import LIST, NUMBER, SECONDS, TEXT, choice
from orchestrator.shapes import seconds as whole_seconds

if TYPE_CHECKING:
    from orchestrator.documents import Json

_CONFIG = "auth/{backend}/config"
_ROLE = "auth/{backend}/role/{role}"
_NANOSECONDS = 10**9
_BOUND = (
    "bound_group_ids",
    "bound_locations",
    "bound_resource_groups",
    "bound_scale_sets",
    "bound_service_principal_ids",
    "bound_subscription_ids",
)
CLOUD = choice(
    "", "AzurePublicCloud", "AzureUSGovernmentCloud", "AzureUSGovernment", "AzureChinaCloud", "AzureGermanCloud"
)


def _pause(value: Json) -> int:
    """Seconds, which the server echoes in nanoseconds.

    >>> _pause("4s"), _pause(4), _pause(4000000000)
    (4, 4, 4)
    """
    total = whole_seconds(value)
    return total // _NANOSECONDS if total >= _NANOSECONDS else total


_PAUSE = replace(SECONDS, canon=_pause, render=_pause)

AZURE_AUTH = Kind(
    name="azure",
    family="auth",
    summary="Machines and service principals log in with a token of Microsoft Entra ID.",
    mount=AUTH_MOUNT,
    required=("config",),
    absent={"openbao": "OpenBao has no azure auth method; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="config",
            single=True,
            required=("tenant_id", "resource"),
            parts=(
                Part(
                    Resource(
                        type="vault_azure_auth_backend_config",
                        path=_CONFIG,
                        mount="backend",
                        mount_default="azure",
                        fields={
                            "tenant_id": Field(TEXT, required=True, sensitive=True),
                            "resource": Field(TEXT, required=True),
                            "environment": Field(CLOUD),
                            "client_id": Field(TEXT, sensitive=True),
                            **credential("client_secret"),
                            "max_retries": Field(NUMBER, default=3),
                            "retry_delay": Field(_PAUSE, default=4),
                            "max_retry_delay": Field(_PAUSE, default=60),
                            **federation(),
                            **rotation(),
                        },
                        writes=(Write(_CONFIG),),
                    )
                ),
            ),
        ),
        Object(
            key="roles",
            list="auth/{mount}/role",
            gives=(tokens("auth/{mount}/login", role="{name}"),),
            shut=SHUT,
            merges=True,
            lower=True,
            parts=(
                Part(
                    Resource(
                        type="vault_azure_auth_backend_role",
                        path=_ROLE,
                        mount="backend",
                        mount_default="azure",
                        name="role",
                        fields={**{name: Field(LIST) for name in _BOUND}, **TOKEN},
                        writes=(Write(_ROLE),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "azure",
        "description": "workloads in Azure",
        "config": {
            "tenant_id": "7cd1f227-ca67-4fc6-a1a4-9888ea7f388c",
            "resource": "https://vault.example.org",
            "client_id": "dd794de4-4c6c-40b3-a930-d84cd32e9699",
            "client_secret": "env:AZURE_AUTH_CLIENT_SECRET",
            "environment": "AzurePublicCloud",
            "max_retries": 5,
            "retry_delay": "2s",
            "max_retry_delay": "30s",
        },
        "roles": {
            "payments": {
                "bound_subscription_ids": ["6a1d5988-5917-4221-b224-904cd7e24a25"],
                "bound_resource_groups": ["payments"],
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
                "token_max_ttl": "4h",
            }
        },
    },
)
