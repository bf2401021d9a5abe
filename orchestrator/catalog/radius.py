"""RADIUS: people log in with what a RADIUS server accepts."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.ldap import NO_DIRECTORY
from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_MOUNT, SHUT, SHUT_POLICIES, TOKEN, users_tokens
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import COMMAS, NUMBER, SECONDS, SET, TEXT

_CONFIG = "auth/{mount}/config"
_USER = "auth/{mount}/users/{username}"

RADIUS = Kind(
    name="radius",
    family="auth",
    canary="orchestrator.live.canaries.radius:trials",
    summary="People log in with what a RADIUS server accepts.",
    mount=AUTH_MOUNT,
    required=("config",),
    absent=NO_DIRECTORY,
    shut=Write(_CONFIG, data=SHUT),
    objects=(
        Object(
            key="config",
            single=True,
            required=("host", "secret"),
            parts=(
                Part(
                    Resource(
                        type="vault_radius_auth_backend",
                        path=_CONFIG,
                        mount="mount",
                        has_id=False,
                        fields={
                            "host": Field(TEXT, required=True),
                            "secret": Field(TEXT, "secret_wo", secret=True, sensitive=True, required=True),
                            "port": Field(NUMBER, default=1812, computed=True),
                            "dial_timeout": Field(SECONDS, default=10, computed=True),
                            "read_timeout": Field(SECONDS, default=10, computed=True),
                            "nas_port": Field(NUMBER, default=10, computed=True),
                            "nas_identifier": Field(TEXT, output=True),
                            "unregistered_user_policies": Field(COMMAS, names="policy"),
                            **TOKEN,
                            "token_type": replace(TOKEN["token_type"], computed=True),
                        },
                        writes=(Write(_CONFIG),),
                        kept=True,
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
        Object(
            key="users",
            list="auth/{mount}/users",
            gives=(users_tokens(),),
            shut={"policies": SHUT_POLICIES},
            merges=True,
            alias="{name}",
            open="whoever the RADIUS server accepts still logs in, and has what the mount gives",
            lower=True,
            also="@",
            parts=(
                Part(
                    Resource(
                        type="vault_radius_auth_backend_user",
                        path=_USER,
                        mount="mount",
                        name="username",
                        has_id=False,
                        fields={"policies": Field(SET, names="policy")},
                        writes=(Write(_USER, always=True),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "radius",
        "config": {
            "host": "radius.example.org",
            "port": 1812,
            "secret": "env:RADIUS_SECRET",
            "read_timeout": "5s",
            "unregistered_user_policies": ["payments-read"],
            "token_policies": ["payments-read"],
            "token_ttl": "1h",
            "token_max_ttl": "8h",
        },
        "users": {"ada": {"policies": ["payments-read"]}},
    },
)
