"""Alibaba Cloud: its RAM roles log in; RAM users and STS tokens, made and taken back by the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.catalog.aws_secrets import allows_everything
from orchestrator.catalog.shared import AFTER_POLICIES, AUTH_MOUNT, NOTHING, SECRETS_MOUNT, SHUT, TOKEN, leases, tokens
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import SECONDS, TEXT, Shape

if TYPE_CHECKING:
    from orchestrator.documents import Json

_LOGIN = "auth/{backend}/role/{role}"
_CONFIG = "{mount}/config"
_ROLE = "{mount}/role/{name}"


def _inline(value: Json) -> list[str]:
    """RAM policies as texts, from maps, from Terraform's blocks, or from what the server answers.

    >>> _inline([{"Version": "1"}, {"hash": "d2", "policy_document": {"Version": "1", "Statement": []}}])
    ['{"Statement":[],"Version":"1"}', '{"Version":"1"}']
    """
    documents = (one.get("policy_document", one) for one in value or [])
    return sorted(_compact(json.loads(one) if isinstance(one, str) else one) for one in documents)


def _compact(document: Json) -> str:
    """As the official provider writes it into its state."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _remote(value: Json) -> list[dict[str, str]]:
    return sorted(({"name": one["name"], "type": one["type"]} for one in value or []), key=lambda one: one["name"])


_INLINE = Shape(
    None,
    {"type": "array", "items": {"type": "object"}},
    "a list of RAM policies as maps",
    _inline,
    lambda value: [{"policy_document": text} for text in _inline(value)],
    [],
    lambda value: f"[{','.join(_inline(value))}]",
    {"policy_document": ("string", True)},
)
_REMOTE = Shape(
    None,
    {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "type": {"enum": ["System", "Custom"]}},
            "required": ["name", "type"],
        },
    },
    "a list of maps with name and type",
    _remote,
    _remote,
    [],
    lambda value: [f"name:{one['name']},type:{one['type']}" for one in _remote(value)],
    {"name": ("string", True), "type": ("string", True)},
)
_NOT_EVERYTHING = Limit(
    "alicloud-everything",
    lambda value: not any(map(allows_everything, value or [])),
    "the credentials could do anything in the account",
)
_NO_ADMINISTRATOR = Limit(
    "alicloud-administrator",
    lambda value: not any(one["name"] == "AdministratorAccess" for one in value or []),
    "the credentials could do anything in the account",
)

ALICLOUD_AUTH = Kind(
    name="alicloud",
    family="auth",
    summary="RAM roles log in with what Alibaba Cloud signs for them.",
    mount=AUTH_MOUNT,
    absent={"openbao": "OpenBao has no alicloud auth method; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="roles",
            list="auth/{mount}/roles",
            gives=(tokens("auth/{mount}/login", role_name="{name}"),),
            shut=SHUT,
            lower=True,
            required=("arn",),
            parts=(
                Part(
                    Resource(
                        type="vault_alicloud_auth_backend_role",
                        path=_LOGIN,
                        mount="backend",
                        mount_default="alicloud",
                        name="role",
                        fields={"arn": Field(TEXT, required=True), **TOKEN},
                        writes=(Write(_LOGIN),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "alicloud",
        "description": "workloads in Alibaba Cloud",
        "roles": {
            "payments": {
                "arn": "acs:ram::5138828231865461:role/payments",
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
                "token_max_ttl": "4h",
            }
        },
    },
)

ALICLOUD_SECRETS = Kind(
    name="alicloud",
    family="secrets",
    summary="RAM users and STS tokens, made and taken back by the server.",
    mount=SECRETS_MOUNT,
    required=("config",),
    absent={
        "openbao": "OpenBao has no alicloud secrets engine; use HashiCorp Vault, or register a plugin with `plugins`"
    },
    objects=(
        Object(
            key="config",
            single=True,
            required=("access_key", "secret_key"),
            parts=(
                Part(
                    Resource(
                        type="vault_alicloud_secret_backend",
                        path=_CONFIG,
                        mount="mount",
                        has_id=False,
                        fields={
                            "access_key": Field(TEXT, required=True, sensitive=True),
                            "secret_key": Field(
                                TEXT, "secret_key_wo", required=True, secret=True, resent=True, sensitive=True
                            ),
                        },
                        writes=(Write(_CONFIG),),
                        adopt="create",
                        kept=True,
                    )
                ),
            ),
        ),
        Object(
            key="roles",
            list="{mount}/role",
            gives=(
                leases("{mount}/creds/{name}", "RAM user", where=lambda role: not role.get("role_arn")),
                leases(
                    "{mount}/creds/{name}",
                    "STS token",
                    stays="Alibaba Cloud takes none back: it lives till it ends, or the RAM role loses its rights",
                    where=lambda role: bool(role.get("role_arn")),
                ),
            ),
            shut={"role_arn": f"acs:ram::0:role/{NOTHING}", "inline_policies": [], "remote_policies": []},
            lower=True,
            parts=(
                Part(
                    Resource(
                        type="vault_alicloud_secret_backend_role",
                        path=_ROLE,
                        leases="{mount}/creds/{name}",
                        mount="mount",
                        name="name",
                        has_id=False,
                        import_id=_ROLE,
                        fields={
                            "role_arn": Field(TEXT),
                            "inline_policies": Field(_INLINE, limit=_NOT_EVERYTHING),
                            "remote_policies": Field(_REMOTE, limit=_NO_ADMINISTRATOR),
                            "ttl": Field(SECONDS),
                            "max_ttl": Field(SECONDS),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "alicloud",
        "description": "credentials for Alibaba Cloud",
        "default_lease_ttl": "30m",
        "config": {"access_key": "LTAIEXAMPLE", "secret_key": "env:ALICLOUD_SECRET_KEY"},
        "roles": {
            "uploads": {
                "inline_policies": [
                    {
                        "Version": "1",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Action": ["oss:PutObject"],
                                "Resource": "acs:oss:*:*:example-uploads/*",
                            }
                        ],
                    }
                ],
                "remote_policies": [{"name": "AliyunOSSReadOnlyAccess", "type": "System"}],
                "ttl": "30m",
                "max_ttl": "8h",
            },
            "reports": {"role_arn": "acs:ram::5138828231865461:role/reports"},
        },
    },
)
