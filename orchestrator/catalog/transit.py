"""Transit: encryption keys that never leave the server."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import SECRETS_MOUNT
from orchestrator.model import (
    FLAG,
    NUMBER,
    SECONDS,
    TEXT,
    Field,
    Json,
    Kind,
    Object,
    Part,
    Resource,
    Shape,
    Write,
    choice,
)

_KEY = "{backend}/keys/{name}"


def _versions(value: Json) -> list[dict[str, str]]:
    """The versions of a key as Terraform holds them.

    >>> _versions({"1": 1700000000})
    [{'id': '1700000000'}]
    """
    if not isinstance(value, dict):
        return list(value or [])
    parts = (value[version] for version in sorted(value, key=int))
    return [
        {name: str(item) for name, item in part.items()} if isinstance(part, dict) else {"id": str(part)}
        for part in parts
    ]


_VERSIONS = Shape(["list", ["map", "string"]], {}, "the key's versions", _versions, _versions, [])
_TYPES = choice(
    "aes128-gcm96",
    "aes256-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "hmac",
)
_SET_LATER = (
    "min_decryption_version",
    "min_encryption_version",
    "deletion_allowed",
    "exportable",
    "allow_plaintext_backup",
    "auto_rotate_period",
)

TRANSIT = Kind(
    name="transit",
    family="secrets",
    canary="orchestrator.live.canaries.transit:trials",
    summary="Encryption keys that never leave the server.",
    mount=SECRETS_MOUNT,
    objects=(
        Object(
            key="keys",
            list="{mount}/keys",
            parts=(
                Part(
                    Resource(
                        type="vault_transit_secret_backend_key",
                        path=_KEY,
                        guard="deletion_allowed",
                        mount="backend",
                        name="name",
                        fields={
                            "type": Field(_TYPES, default="aes256-gcm96", replace=True),
                            "derived": Field(FLAG, replace=True),
                            "convergent_encryption": Field(FLAG, replace=True),
                            "key_size": Field(NUMBER, replace=True, readable=False),
                            "exportable": Field(FLAG, lasting=True),
                            "allow_plaintext_backup": Field(FLAG, lasting=True),
                            "deletion_allowed": Field(FLAG),
                            "auto_rotate_period": Field(SECONDS, default=0, computed=True),
                            "min_decryption_version": Field(replace(NUMBER, zero=1), default=1),
                            "min_encryption_version": Field(NUMBER),
                            "context": Field(TEXT, yaml=False, readable=False, replace=True),
                            "hybrid_key_type_ec": Field(TEXT, yaml=False, readable=False, replace=True),
                            "hybrid_key_type_pqc": Field(TEXT, yaml=False, readable=False, replace=True),
                            "managed_key_id": Field(TEXT, yaml=False, readable=False, replace=True),
                            "managed_key_name": Field(TEXT, yaml=False, readable=False, replace=True),
                            "parameter_set": Field(TEXT, yaml=False, readable=False, replace=True),
                            "keys": Field(_VERSIONS, output=True),
                            "latest_version": Field(NUMBER, output=True),
                            "min_available_version": Field(NUMBER, output=True),
                            "supports_decryption": Field(FLAG, output=True),
                            "supports_derivation": Field(FLAG, output=True),
                            "supports_encryption": Field(FLAG, output=True),
                            "supports_signing": Field(FLAG, output=True),
                        },
                        writes=(
                            Write(
                                _KEY,
                                ("type", "derived", "convergent_encryption", "key_size", "auto_rotate_period"),
                                on=("create",),
                                always=True,
                            ),
                            Write(f"{_KEY}/config", _SET_LATER),
                        ),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "transit",
        "keys": {
            "orders": {"type": "aes256-gcm96", "auto_rotate_period": "90d", "deletion_allowed": True},
            "releases": {"type": "ed25519", "deletion_allowed": True},
        },
    },
)
