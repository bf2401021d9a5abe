"""Terraform Cloud and Enterprise: API tokens, made and taken back by the server."""

from __future__ import annotations

from orchestrator.catalog.shared import credential, keys, leases, rotation, secrets_engine
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import SECONDS, TEXT, choice

_ROLE = "{backend}/role/{name}"
_TEAMS = {"vault<1.20": "Vault tells tokens of a team apart from 1.20 on; leave it out"}
_CONFIG = {
    **credential("token", "config."),
    "config.address": Field(TEXT, default="https://app.terraform.io"),
    "config.base_path": Field(TEXT, default="/api/v2/"),
    "config.explicit_max_ttl": Field(SECONDS, computed=True),
    **rotation("config."),
}

TERRAFORM_CLOUD = Kind(
    name="terraform",
    family="secrets",
    summary="API tokens of Terraform Cloud and Enterprise, made and taken back by the server.",
    mount=secrets_engine(
        "vault_terraform_cloud_secret_backend",
        "terraform",
        _CONFIG,
        (Write("{backend}/config", keys(_CONFIG)),),
        "backend",
        filled=False,
    ),
    required=("config", "config.token"),
    absent={
        "openbao": "OpenBao has no terraform secrets engine; use HashiCorp Vault, or register a plugin with `plugins`"
    },
    objects=(
        Object(
            key="roles",
            list="{mount}/role",
            gives=(leases("{mount}/creds/{name}", "Terraform token"),),
            open="nothing that a role may name gives tokens without rights: take its path from the policies",
            lower=True,
            parts=(
                Part(
                    Resource(
                        type="vault_terraform_cloud_secret_role",
                        path=_ROLE,
                        leases="{backend}/creds/{name}",
                        mount="backend",
                        mount_default="terraform",
                        name="name",
                        fields={
                            "organization": Field(TEXT),
                            "team_id": Field(TEXT),
                            "user_id": Field(TEXT),
                            "credential_type": Field(
                                choice("organization", "team", "team_legacy", "user"), absent=_TEAMS
                            ),
                            "description": Field(TEXT, absent=_TEAMS),
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
        "type": "terraform",
        "description": "tokens for Terraform Enterprise",
        "default_lease_ttl": "30m",
        "config": {"address": "https://terraform.example.org", "token": "env:TFE_TOKEN"},
        "roles": {"deploy": {"user_id": "user-AbCdEf", "ttl": "30m", "max_ttl": "8h"}},
    },
)
