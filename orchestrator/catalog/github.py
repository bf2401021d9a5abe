"""GitHub: people log in with a personal access token of an organization's member."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import (
    AFTER_POLICIES,
    SHUT,
    SHUT_POLICIES,
    TOKEN,
    auth_engine,
    members_tokens,
    users_tokens,
)
from orchestrator.model import Field, Gives, Kind, Object, Part, Resource, Write
from orchestrator.shapes import LIST, NUMBER, TEXT

if TYPE_CHECKING:
    from orchestrator.documents import Json

_URL = replace(TEXT, canon=lambda value: (value or "").rstrip("/"))  # the server ends it in a slash


def _split(value: Json) -> list[str]:
    """A list that is one text in the API.

    >>> _split("admin,app"), _split(["admin"]), _split("")
    (['admin', 'app'], ['admin'], [])
    """
    return [word for word in (value.split(",") if isinstance(value, str) else value or []) if word]


_POLICIES = replace(LIST, canon=_split, render=_split, send=",".join)

GITHUB_MOUNT = auth_engine(
    "vault_github_auth_backend",
    "github",
    {
        "config.organization": Field(TEXT, required=True),
        "config.organization_id": Field(NUMBER, computed=True),
        "config.base_url": Field(_URL),
        **{f"config.{name}": one for name, one in TOKEN.items()},
    },
    {},
    local=False,
)


def _map(key: str, type_: str, name: str, gives: Gives, alias: str = "", still: str = "") -> Object:
    """Names of GitHub, and the policies that each gives."""
    path = f"auth/{{backend}}/map/{key}/{{{name}}}"
    return Object(
        key=key,
        list=f"auth/{{mount}}/map/{key}",
        gives=(gives,),
        shut={"value": SHUT_POLICIES[0]},
        merges=True,
        alias=alias,
        open=still,
        lower=True,
        required=("policies",),
        parts=(
            Part(
                Resource(
                    type=type_,
                    path=path,
                    mount="backend",
                    mount_default="github",
                    name=name,
                    fields={"policies": Field(_POLICIES, api="value", names="policy")},
                    writes=(Write(path),),
                    after=AFTER_POLICIES,
                )
            ),
        ),
    )


GITHUB = Kind(
    name="github",
    family="auth",
    summary="People log in with a personal access token of an organization's member.",
    mount=GITHUB_MOUNT,
    required=("config", "config.organization", "config.organization_id"),  # a name alone may change hands
    absent={"openbao": "OpenBao has no github auth method; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        _map("teams", "vault_github_team", "team", members_tokens()),
        _map(
            "users",
            "vault_github_user",
            "user",
            users_tokens(),
            "{name}",
            "whoever the organization knows still logs in, and has what the mount and their teams give",
        ),
    ),
    shut=Write("auth/{mount}/config", data=SHUT),
    example={
        "type": "github",
        "description": "developers",
        "config": {
            "organization": "example",
            "organization_id": 12345,
            "base_url": "https://github.example.org/api/v3/",
            "token_ttl": "1h",
            "token_max_ttl": "8h",
            "token_bound_cidrs": ["10.0.0.0/8"],
        },
        "teams": {"payments": {"policies": ["payments-read"]}},
        "users": {"ada": {"policies": ["payments-read"]}},
    },
)
