"""Google Cloud: access tokens and keys of service accounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import FEDERATED, credential, federation, keys, leases, rotation, secrets_engine
from orchestrator.model import Field, Gives, Kind, Object, Part, Resource, Write
from orchestrator.shapes import SECONDS, SECONDS_TEXT, SET, TEXT, Shape, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

_SECRET = choice("access_token", "service_account_key")
_CONFIG = {
    **credential("credentials", "config."),
    "config.ttl": Field(SECONDS),
    "config.max_ttl": Field(SECONDS),
    "config.service_account_email": Field(TEXT, absent=FEDERATED),
    **federation("config.", computed=False),
    **rotation("config."),
}


def _bindings(value: Json) -> dict[str, list[str]]:
    """IAM roles by resource, from the API's map or Terraform's blocks.

    >>> _bindings([{"resource": "//x", "roles": ["b", "a"]}])
    {'//x': ['a', 'b']}
    """
    pairs = value.items() if isinstance(value, dict) else [(one["resource"], one["roles"]) for one in value or []]
    return {resource: sorted(roles) for resource, roles in sorted(pairs)}


def _blocks(value: Json) -> list[dict[str, Json]]:
    return [{"resource": resource, "roles": roles} for resource, roles in _bindings(value).items()]


def _hcl(value: Json) -> str:
    """The official provider's text: the server takes another one for other bindings, and makes a new account.

    >>> print(_hcl({"//x": ["a"]}))
    resource "//x" {
      roles = ["a"]
    }
    <BLANKLINE>
    """
    texts = (
        f'resource "{resource}" {{\n  roles = {json.dumps(roles)}\n}}\n' for resource, roles in _bindings(value).items()
    )
    return "\n\n".join(texts)


_BINDINGS = Shape(
    None,
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "a map from resource to a list of IAM roles",
    _bindings,
    _blocks,
    {},
    _hcl,
    {"resource": ("string", True), "roles": (["set", "string"], True)},
)


def _account(
    key: str, type_: str, name: str, path: str, fields: dict[str, Field], *required: str, ends: str = ""
) -> Object:
    where = f"{{backend}}/{path}/{{{name}}}"
    return Object(
        key=key,
        list=f"{{mount}}/{path}s",
        gives=(
            leases(f"{{mount}}/{path}/{{name}}/key", "service account key"),
            leases("{mount}/key/{name}", "service account key"),  # of rolesets, by the older path
            Gives("access token", untold=f"Google keeps no list of them, and they end after an hour at most{ends}"),
        ),
        open="nothing holds back new ones but the policies of those who ask",
        required=required,
        parts=(
            Part(Resource(type=type_, path=where, mount="backend", name=name, fields=fields, writes=(Write(where),))),
        ),
    )


GCP_SECRETS = Kind(
    name="gcp",
    family="secrets",
    summary="Access tokens and keys of service accounts.",
    mount=secrets_engine(
        "vault_gcp_secret_backend", "gcp", _CONFIG, (Write("{path}/config", keys(_CONFIG)),), filled=False
    ),
    absent={"openbao": "OpenBao has no gcp secrets engine; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        _account(
            "rolesets",
            "vault_gcp_secret_roleset",
            "roleset",
            "roleset",
            {
                "project": Field(TEXT, required=True, replace=True),
                "secret_type": Field(_SECRET, default="access_token", computed=True, replace=True),
                "token_scopes": Field(SET),
                "bindings": Field(_BINDINGS, "binding", "bindings"),
                "service_account_email": Field(TEXT, output=True),
            },
            "project",
            "bindings",
            ends="; `bao write -f {mount}/roleset/{name}/rotate` ends all at once",
        ),
        _account(
            "static_accounts",
            "vault_gcp_secret_static_account",
            "static_account",
            "static-account",
            {
                "service_account_email": Field(TEXT, required=True, replace=True),
                "secret_type": Field(_SECRET, default="access_token", computed=True, replace=True),
                "token_scopes": Field(SET),
                "bindings": Field(_BINDINGS, "binding", "bindings"),
                "service_account_project": Field(TEXT, output=True),
            },
            "service_account_email",
        ),
        _account(
            "impersonated_accounts",
            "vault_gcp_secret_impersonated_account",
            "impersonated_account",
            "impersonated-account",
            {
                "service_account_email": Field(TEXT, required=True, replace=True),
                "token_scopes": Field(SET),
                "ttl": Field(SECONDS_TEXT, default=0, computed=True),
                "service_account_project": Field(TEXT, output=True),
            },
            "service_account_email",
        ),
    ),
    example={
        "type": "gcp",
        "description": "credentials for Google Cloud",
        "default_lease_ttl": "30m",
        "max_lease_ttl": "12h",
        "config": {"credentials": "env:GCP_CREDENTIALS", "ttl": "30m", "max_ttl": "12h"},
        "rolesets": {
            "reports": {
                "project": "example-project",
                "secret_type": "access_token",
                "token_scopes": ["https://www.googleapis.com/auth/cloud-platform.read-only"],
                "bindings": {"//cloudresourcemanager.googleapis.com/projects/example-project": ["roles/viewer"]},
            }
        },
        "static_accounts": {
            "mailer": {
                "service_account_email": "mailer@example-project.iam.gserviceaccount.com",
                "secret_type": "service_account_key",
            }
        },
        "impersonated_accounts": {
            "uploads": {
                "service_account_email": "uploads@example-project.iam.gserviceaccount.com",
                "token_scopes": ["https://www.googleapis.com/auth/devstorage.read_write"],
                "ttl": "15m",
            }
        },
    },
)
