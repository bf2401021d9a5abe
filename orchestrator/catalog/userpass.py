"""Userpass: people log in with a name and a password."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_MOUNT, SHUT, TOKEN, users_tokens
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import TEXT

_USER = "auth/{mount}/users/{username}"

USERPASS = Kind(
    name="userpass",
    family="auth",
    canary="orchestrator.live.canaries.userpass:trials",
    summary="People log in with a name and a password.",
    mount=AUTH_MOUNT,
    objects=(
        Object(
            key="users",
            list="auth/{mount}/users",
            gives=(users_tokens(),),
            shut=SHUT,
            merges=True,
            alias="{name}",
            lower=True,
            parts=(
                Part(
                    Resource(
                        type="vault_userpass_auth_backend_user",
                        path=_USER,
                        mount="mount",
                        name="username",
                        has_id=False,
                        fields={
                            "password": Field(TEXT, "password_wo", secret=True, sensitive=True),
                            "password_hash": Field(TEXT, "password_hash_wo", secret=True, sensitive=True),
                            **TOKEN,
                            "token_type": replace(TOKEN["token_type"], computed=True),
                        },
                        writes=(Write(_USER, always=True),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "userpass",
        "users": {
            "ada": {
                "password": "env:ADA_PASSWORD",
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
                "token_max_ttl": "8h",
            }
        },
    },
)
