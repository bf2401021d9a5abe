"""Google Cloud: service accounts and instances log in with a token that Google signs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import (
    AFTER_POLICIES,
    FEDERATED,
    SHUT,
    TOKEN,
    auth_engine,
    credential,
    federation,
    rotation,
    tokens,
)
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, SECONDS_TEXT, SET, TEXT, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

_ROLE = "auth/{backend}/role/{role}"
_IAM_METADATA = ["project_id", "role", "service_account_email", "service_account_id"]
_GCE_METADATA = [
    "instance_creation_timestamp",
    "instance_id",
    "instance_name",
    "project_id",
    "project_number",
    "role",
    "service_account_email",
    "service_account_id",
    "zone",
]
_ANYBODY = Limit(
    "gcp-any-service-account",
    lambda value: "*" not in (value or []),
    "every service account of the bound projects could log in, and of all projects where none is bound",
)
_IAM, _GCE = {"type": "iam"}, {"type": "gce"}


def _labels(value: Json) -> list[str]:
    """Labels as `key:value`, from that or from the server's map.

    >>> _labels({"team": "payments", "env": "prod"})
    ['env:prod', 'team:payments']
    """
    pairs = [f"{key}:{item}" for key, item in value.items()] if isinstance(value, dict) else value or []
    return sorted(pairs)


_LABELS = replace(SET, canon=_labels, render=_labels)


def _endpoint(name: str) -> Field:
    path = f"custom_endpoint.{name}"
    return Field(TEXT, path, path, sent=path)


def _of_instances(shape: Json = SET) -> Field:
    """What only roles of the type `gce` may say: for the others the server refuses even an empty one."""
    return Field(shape, default=[], computed=True, only=_GCE)


GCP_AUTH_MOUNT = auth_engine(
    "vault_gcp_auth_backend",
    "gcp",
    {
        **credential("credentials", "config."),
        "config.iam_alias": Field(choice("role_id", "unique_id"), default="role_id", computed=True),
        "config.iam_metadata": Field(SET, default=_IAM_METADATA, computed=True),
        "config.gce_alias": Field(choice("role_id", "instance_id"), default="role_id", computed=True),
        "config.gce_metadata": Field(SET, default=_GCE_METADATA, computed=True),
        **{f"config.custom_endpoint.{name}": _endpoint(name) for name in ("api", "iam", "crm", "compute")},
        "config.service_account_email": Field(TEXT, absent=FEDERATED),
        **federation("config.", computed=False),
        **rotation("config."),
    },
    {
        **{
            name: Field(TEXT, computed=True, yaml=False)
            for name in ("client_email", "client_id", "private_key_id", "project_id")
        },
        "identity_token_key": Field(TEXT, yaml=False, readable=False),
    },
    blocks=("custom_endpoint",),
)

GCP_AUTH = Kind(
    name="gcp",
    family="auth",
    summary="Service accounts and instances log in with a token that Google signs.",
    mount=GCP_AUTH_MOUNT,
    absent={"openbao": "OpenBao has no gcp auth method; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="roles",
            list="auth/{mount}/role",
            gives=(
                replace(
                    tokens("auth/{mount}/login", role="{name}"),
                    telling=("auth/{mount}/config", "{type}_metadata", "role"),
                ),
            ),
            shut=SHUT,
            merges=True,
            lower=True,
            required=("type",),
            parts=(
                Part(
                    Resource(
                        type="vault_gcp_auth_backend_role",
                        path=_ROLE,
                        mount="backend",
                        mount_default="gcp",
                        name="role",
                        version=1,
                        fields={
                            "type": Field(choice("iam", "gce"), required=True, replace=True),
                            "bound_service_accounts": Field(SET, default=[], computed=True, limit=_ANYBODY),
                            "bound_projects": Field(SET, replace=True),
                            "bound_zones": _of_instances(),
                            "bound_regions": _of_instances(),
                            "bound_instance_groups": _of_instances(),
                            "bound_labels": _of_instances(_LABELS),
                            "max_jwt_exp": Field(SECONDS_TEXT, default=900, computed=True, only=_IAM),
                            "allow_gce_inference": Field(FLAG, default=True, computed=True, only=_IAM),
                            "add_group_aliases": Field(FLAG, default=False, computed=True),
                            "role_id": Field(TEXT, computed=True, yaml=False),
                            **TOKEN,
                        },
                        writes=(Write(_ROLE),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "gcp",
        "description": "workloads in Google Cloud",
        "config": {
            "credentials": "env:GCP_AUTH_CREDENTIALS",
            "iam_alias": "unique_id",
            "iam_metadata": ["project_id", "role", "service_account_email"],
            "custom_endpoint": {"iam": "https://private.googleapis.com"},
        },
        "roles": {
            "payments": {
                "type": "iam",
                "bound_service_accounts": ["payments@example-project.iam.gserviceaccount.com"],
                "bound_projects": ["example-project"],
                "max_jwt_exp": "10m",
                "allow_gce_inference": False,
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
                "token_max_ttl": "4h",
            },
            "batch": {
                "type": "gce",
                "bound_projects": ["example-project"],
                "bound_zones": ["europe-west1-b"],
                "bound_labels": ["team:payments"],
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
            },
        },
    },
)
