"""AWS: IAM users and STS credentials, made and taken back by the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import (
    FEDERATED,
    credential,
    federation,
    keys,
    leases,
    rotation,
    secrets_engine,
    turned,
)
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import LIST, MAP, SECONDS, SET, SIGNED, TEXT, Shape, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json, Spec

_ROOT = "{path}/config/root"
_ROLE = "{backend}/roles/{name}"
_STATIC = "{backend}/static-roles/{name}"
_ASSUMED = {"vault": "Vault assumes a role for a static one only in its Enterprise edition; leave it out"}
_USERNAMES = (
    '{{ if (eq .Type "STS") }}{{ printf "vault-%s-%s"  (unix_time) (random 20) | truncate 32 }}{{ else }}'
    '{{ printf "vault-%s-%s-%s" (printf "%s-%s" (.DisplayName) (.PolicyName) | truncate 42) (unix_time) (random 20)'
    " | truncate 64 }}{{ end }}"
)


def _document(value: Json) -> Json:
    """An IAM policy, from a map or its JSON text."""
    return json.loads(value) if isinstance(value, str) and value else value or {}


def _compact(value: Json) -> str:
    """As the server keeps it."""
    document = _document(value)
    return json.dumps(document, separators=(",", ":")) if document else ""


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def allows_everything(policy: Json) -> bool:
    """Whether a policy of AWS, or one in its form, allows every action.

    >>> allows_everything({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    True
    """
    statements = _listed(_document(policy).get("Statement", []))
    return any("*" in _listed(one.get("Action")) for one in statements if one.get("Effect") == "Allow")


_POLICY = Shape("string", {"type": "object"}, "an IAM policy as a map", _document, _compact, "")
_NOT_EVERYTHING = Limit(
    "aws-everything",
    lambda value: not allows_everything(value),
    "the credentials could do anything in the account",
)
_NO_ADMINISTRATOR = Limit(
    "aws-administrator",
    lambda value: not any(arn.endswith(":policy/AdministratorAccess") for arn in value or []),
    "the credentials could do anything in the account",
)
_CONFIG = {
    "config.access_key": Field(TEXT, sensitive=True),
    **credential("secret_key", "config.", resent=True),
    "config.region": Field(TEXT, default="us-east-1", computed=True),
    "config.iam_endpoint": Field(TEXT),
    "config.sts_endpoint": Field(TEXT),
    "config.sts_region": Field(TEXT),
    "config.sts_fallback_endpoints": Field(LIST),
    "config.sts_fallback_regions": Field(LIST),
    "config.max_retries": Field(SIGNED, default=-1),
    "config.username_template": Field(TEXT, default=_USERNAMES, computed=True),
    "config.role_arn": Field(TEXT, absent=FEDERATED),
    **federation("config."),
    **rotation("config."),
}

_PATHS = ("{mount}/creds/{name}", "{mount}/sts/{name}")
_STAYS = (
    "AWS takes back no STS credential: it lives till it ends, unless its role or user denies what was given before now "
    "(aws:TokenIssueTime)"
)
_NO_RIGHTS = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'


def _makes_users(role: Spec) -> bool:
    return "iam_user" in str(role.get("credential_type"))


AWS_SECRETS = Kind(
    name="aws",
    family="secrets",
    summary="IAM users and STS credentials, made and taken back by the server.",
    mount=secrets_engine("vault_aws_secret_backend", "aws", _CONFIG, (Write(_ROOT, keys(_CONFIG)),)),
    absent={"openbao": "OpenBao has no aws secrets engine; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="roles",
            gives=(
                *(leases(path, "IAM user", where=_makes_users) for path in _PATHS),
                *(
                    leases(path, "STS credential", stays=_STAYS, where=lambda role: not _makes_users(role))
                    for path in _PATHS
                ),
            ),
            shut={
                "credential_type": "federation_token",  # the one type that takes a policy and nothing else
                "policy_document": _NO_RIGHTS,
                "role_arns": [],
                "session_tags": {},
                "external_id": "",
                "user_path": "",
                "permissions_boundary_arn": "",
            },
            list="{mount}/roles",
            also="@",
            required=("credential_type",),
            parts=(
                Part(
                    Resource(
                        type="vault_aws_secret_backend_role",
                        path=_ROLE,
                        leases="{backend}/creds/{name}",
                        mount="backend",
                        name="name",
                        fields={
                            "credential_type": Field(
                                choice("iam_user", "assumed_role", "federation_token", "session_token"), required=True
                            ),
                            "role_arns": Field(SET),
                            "policy_arns": Field(SET, limit=_NO_ADMINISTRATOR),
                            "policy_document": Field(_POLICY, limit=_NOT_EVERYTHING),
                            "iam_groups": Field(SET),
                            "iam_tags": Field(MAP),
                            "session_tags": Field(MAP),
                            "external_id": Field(TEXT),
                            "default_sts_ttl": Field(SECONDS, default=0, computed=True),
                            "max_sts_ttl": Field(SECONDS, default=0, computed=True),
                            "permissions_boundary_arn": Field(TEXT),
                            "user_path": Field(TEXT),
                            "mfa_serial_number": Field(TEXT),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
        Object(
            key="static_roles",
            gives=(turned("access key"),),
            list="{mount}/static-roles",
            also="@",
            required=("username", "rotation_period"),
            parts=(
                Part(
                    Resource(
                        type="vault_aws_secret_backend_static_role",
                        path=_STATIC,
                        mount="backend",
                        mount_default="aws",
                        name="name",
                        fields={
                            "username": Field(TEXT, required=True, replace=True),
                            "rotation_period": Field(SECONDS, required=True),
                            "assume_role_arn": Field(TEXT, absent=_ASSUMED),
                            "assume_role_session_name": Field(TEXT, absent=_ASSUMED),
                            "external_id": Field(TEXT, absent=_ASSUMED),
                        },
                        writes=(Write(_STATIC),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "aws",
        "description": "credentials for AWS",
        "default_lease_ttl": "30m",
        "max_lease_ttl": "12h",
        "config": {
            "access_key": "AKIAEXAMPLE",
            "secret_key": "env:AWS_SECRET_KEY",
            "region": "eu-west-1",
            "sts_endpoint": "https://sts.eu-west-1.amazonaws.com",
            "sts_region": "eu-west-1",
            "sts_fallback_endpoints": ["https://sts.eu-central-1.amazonaws.com"],
            "sts_fallback_regions": ["eu-central-1"],
            "max_retries": 5,
        },
        "roles": {
            "reports": {
                "credential_type": "assumed_role",
                "role_arns": ["arn:aws:iam::123456789012:role/reports"],
                "session_tags": {"team": "payments"},
                "default_sts_ttl": "15m",
                "max_sts_ttl": "1h",
            },
            "uploads": {
                "credential_type": "iam_user",
                "policy_document": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": "arn:aws:s3:::example-uploads/*"}
                    ],
                },
                "iam_tags": {"team": "payments"},
                "user_path": "/vault/",
                "permissions_boundary_arn": "arn:aws:iam::123456789012:policy/vault-boundary",
            },
        },
        "static_roles": {"mailer": {"username": "mailer", "rotation_period": "24h"}},
    },
)
