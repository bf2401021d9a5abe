"""MongoDB Atlas: API keys, made and taken back by the server."""

from __future__ import annotations

from orchestrator.catalog.shared import NOTHING, SECRETS_MOUNT, credential, leases
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import LIST, SECONDS_TEXT, TEXT

_CONFIG = "{mount}/config"
_ROLE = "{mount}/roles/{name}"

MONGODB_ATLAS = Kind(
    name="mongodbatlas",
    family="secrets",
    summary="API keys of MongoDB Atlas, made and taken back by the server.",
    mount=SECRETS_MOUNT,
    required=("config",),
    absent={
        "openbao": "OpenBao has no mongodbatlas secrets engine; use HashiCorp Vault, or register a plugin with "
        "`plugins`"
    },
    objects=(
        Object(
            key="config",
            single=True,
            required=("public_key", "private_key"),
            parts=(
                Part(
                    Resource(
                        type="vault_mongodbatlas_secret_backend",
                        path=_CONFIG,
                        mount="mount",
                        fields={
                            "public_key": Field(TEXT, required=True),
                            **credential("private_key", resent=True),
                            "path": Field(TEXT, output=True),
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
            list="{mount}/roles",
            gives=(leases("{mount}/creds/{name}", "API key"),),
            shut={"roles": [NOTHING]},
            lower=True,
            required=("roles",),
            parts=(
                Part(
                    Resource(
                        type="vault_mongodbatlas_secret_role",
                        path=_ROLE,
                        leases="{mount}/creds/{name}",
                        mount="mount",
                        name="name",
                        fields={
                            "organization_id": Field(TEXT),
                            "project_id": Field(TEXT),
                            "roles": Field(LIST, required=True),
                            "project_roles": Field(LIST),
                            "ip_addresses": Field(LIST),
                            "cidr_blocks": Field(LIST),
                            "ttl": Field(SECONDS_TEXT),
                            "max_ttl": Field(SECONDS_TEXT),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "mongodbatlas",
        "description": "keys for MongoDB Atlas",
        "default_lease_ttl": "30m",
        "config": {"public_key": "abcdefgh", "private_key": "env:MONGODB_ATLAS_PRIVATE_KEY"},
        "roles": {
            "reports": {
                "project_id": "5cf5a45a9ccf6400e60981b6",
                "roles": ["GROUP_READ_ONLY"],
                "cidr_blocks": ["10.0.0.0/8"],
                "ttl": "30m",
                "max_ttl": "8h",
            }
        },
    },
)
