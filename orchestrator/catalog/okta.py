"""Okta: people log in with their name and password at Okta."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.catalog.shared import (
    AFTER_POLICIES,
    SHUT,
    SHUT_POLICIES,
    TOKEN,
    auth_engine,
    credential,
    members_tokens,
    users_tokens,
)
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import COMMAS, FLAG, TEXT, Shape

if TYPE_CHECKING:
    from orchestrator.documents import Json

_GROUP = "auth/{path}/groups/{group_name}"
_USER = "auth/{path}/users/{username}"
_SECOND_FACTOR = Limit(
    "okta-mfa", lambda value: not value, "who knows a password logs in without the second factor that Okta asks for"
)


def _inside(**members: Json) -> Field:
    """Groups and users within the mount's own resource: here they are objects of their own."""
    return Field(Shape(["set", ["object", members]], {}, "", list, list, []), computed=True, yaml=False, readable=False)


OKTA_MOUNT = auth_engine(
    "vault_okta_auth_backend",
    "okta",
    {
        "config.org_name": Field(TEXT, computed=True),
        **credential("api_token", "config."),
        "config.base_url": Field(TEXT),
        "config.bypass_okta_mfa": Field(FLAG, limit=_SECOND_FACTOR),
        **{f"config.{name}": one for name, one in TOKEN.items()},
    },
    {
        "organization": Field(TEXT, computed=True, yaml=False),
        "token": Field(TEXT, yaml=False, readable=False, sensitive=True),
        "group": _inside(group_name="string", policies=["set", "string"]),
        "user": _inside(groups=["set", "string"], policies=["set", "string"], username="string"),
    },
    local=False,
)

OKTA = Kind(
    name="okta",
    family="auth",
    summary="People log in with their name and password at Okta.",
    mount=OKTA_MOUNT,
    required=("config", "config.org_name"),
    shut=Write("auth/{mount}/config", data=SHUT),
    absent={"openbao": "OpenBao has no okta auth method; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="groups",
            list="auth/{mount}/groups",
            gives=(members_tokens(),),
            shut={"policies": SHUT_POLICIES},
            lower=True,
            also=" ",
            required=("policies",),
            parts=(
                Part(
                    Resource(
                        type="vault_okta_auth_backend_group",
                        path=_GROUP,
                        mount="path",
                        name="group_name",
                        id="{path}/{group_name}",
                        adopt="create",  # the official provider imports none
                        fields={"policies": Field(COMMAS, names="policy")},
                        writes=(Write(_GROUP, always=True),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
        Object(
            key="users",
            list="auth/{mount}/users",
            gives=(users_tokens(),),
            shut={"policies": SHUT_POLICIES, "groups": []},
            alias="{name}",
            open="whoever Okta knows still logs in, and has what the mount and its groups give",
            also="@+",
            parts=(
                Part(
                    Resource(
                        type="vault_okta_auth_backend_user",
                        path=_USER,
                        mount="path",
                        name="username",
                        id="{path}/{username}",
                        adopt="create",  # the official provider imports none
                        fields={
                            "groups": Field(COMMAS, names="groups"),
                            "policies": Field(COMMAS, names="policy"),
                        },
                        writes=(Write(_USER, always=True),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "okta",
        "description": "people",
        "config": {
            "org_name": "example",
            "api_token": "env:OKTA_API_TOKEN",
            "base_url": "okta-emea.com",
            "token_ttl": "1h",
            "token_max_ttl": "8h",
        },
        "groups": {"payments": {"policies": ["payments-read"]}},
        "users": {"ada@example.org": {"groups": ["payments"], "policies": ["payments-read"]}},
    },
)
