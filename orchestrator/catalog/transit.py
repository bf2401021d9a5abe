"""Transit: encryption keys that never leave the server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import SECRETS_MOUNT
from orchestrator.model import Field, Kind, Leak, Limit, Object, Part, Renew, Resource, Write
from orchestrator.shapes import FLAG, NUMBER, SECONDS, TEXT, Shape, choice, seconds

if TYPE_CHECKING:
    from orchestrator.documents import Json

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
_NO_OPENBAO = "OpenBao has no such keys"
_ENTERPRISE = "only Vault Enterprise has such keys"
_POST_QUANTUM = {
    "openbao": f"{_NO_OPENBAO}; write ed25519",
    "vault": f"{_ENTERPRISE}; write ed25519",
}
_CMAC = {"openbao": f"{_NO_OPENBAO}; write hmac", "vault": f"{_ENTERPRISE}; write hmac"}
_LACKING = {
    "xchacha20-poly1305": {"vault>=0": "Vault has no such keys; write chacha20-poly1305"},
    **dict.fromkeys(("aes128-cmac", "aes192-cmac", "aes256-cmac"), _CMAC),
    **dict.fromkeys(("ml-dsa", "slh-dsa", "hybrid"), _POST_QUANTUM),
}
_NO_SETTING = {
    "openbao": "OpenBao has no keys to which this applies; leave it out",
    "vault": "only Vault Enterprise has keys to which this applies; leave it out",
}
_STAYS_INSIDE = Limit(
    "transit-exportable",
    lambda value: not value,
    "a key that can leave the server cannot be called back, and the server never takes this back; leave it false",
)
_ROTATES = Limit(
    "transit-no-rotation",
    lambda value: seconds(value) > 0,
    "one key for ever: what it protects grows, and so does the harm when it leaks; write 90d",
)
_TYPES = choice(
    "aes128-gcm96",
    "aes256-gcm96",
    "chacha20-poly1305",
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "hmac",
    *_LACKING,
)
_SET_LATER = (
    "min_decryption_version",
    "min_encryption_version",
    "deletion_allowed",
    "exportable",
    "allow_plaintext_backup",
    "auto_rotate_period",
)

_CACHE_SIZE = replace(
    NUMBER,
    schema={"type": "integer", "minimum": 0, "not": {"minimum": 1, "maximum": 9}},
    expected="0 for no limit, or a whole number from 10",
)
_CACHE = Resource(
    type="vault_transit_secret_cache_config",
    path="{backend}/cache-config",
    mount="backend",
    fields={"size": Field(_CACHE_SIZE, required=True)},
    writes=(
        Write("{backend}/cache-config"),
        Write("sys/plugins/reload/backend", data={"mounts": ["{backend}/"]}, follows=True),
    ),
    adopt="create",
    kept=True,
)

TRANSIT = Kind(
    name="transit",
    family="secrets",
    inward=True,
    canary="orchestrator.live.canaries.transit:trials",
    summary="Encryption keys that never leave the server.",
    mount=SECRETS_MOUNT,
    leaks={
        "transit-key": Leak(
            "orchestrator.incident.kinds.transit:scope",
            ("key version", "ciphertext", "signature", "hmac"),
            "orchestrator.incident.kinds.transit:pin",
            (
                Write("{mount}/keys", method="LIST"),
                Write("{mount}/keys/{name}", method="GET"),
                *(Write(f"{{mount}}/keys/{{name}}/{path}") for path in ("rotate", "config")),
                *(Write(f"{{mount}}/{path}/{{name}}") for path in ("encrypt", "sign", "hmac", "verify")),
            ),
        )
    },
    objects=(
        Object(key="cache", single=True, required=("size",), parts=(Part(_CACHE),)),
        Object(
            key="keys",
            list="{mount}/keys",
            renew=Renew("key", Write("{mount}/keys/{name}/rotate")),
            parts=(
                Part(
                    Resource(
                        type="vault_transit_secret_backend_key",
                        path=_KEY,
                        guard="deletion_allowed",
                        loses="what it encrypted can be read no more",
                        mount="backend",
                        name="name",
                        fields={
                            "type": Field(_TYPES, default="aes256-gcm96", replace=True, lacking=_LACKING),
                            "derived": Field(FLAG, replace=True),
                            "convergent_encryption": Field(FLAG, replace=True),
                            "key_size": Field(NUMBER, replace=True, readable=False),
                            "exportable": Field(FLAG, lasting=True, limit=_STAYS_INSIDE),
                            "allow_plaintext_backup": Field(FLAG, lasting=True, limit=_STAYS_INSIDE),
                            "deletion_allowed": Field(FLAG),
                            "auto_rotate_period": Field(SECONDS, default="90d", computed=True, limit=_ROTATES),
                            "min_decryption_version": Field(replace(NUMBER, zero=1), default=1),
                            "min_encryption_version": Field(NUMBER),
                            "context": Field(TEXT, yaml=False, readable=False, replace=True),
                            "hybrid_key_type_ec": Field(TEXT, readable=False, replace=True, absent=_NO_SETTING),
                            "hybrid_key_type_pqc": Field(TEXT, readable=False, replace=True, absent=_NO_SETTING),
                            "managed_key_id": Field(TEXT, yaml=False, readable=False, replace=True),
                            "managed_key_name": Field(TEXT, yaml=False, readable=False, replace=True),
                            "parameter_set": Field(TEXT, readable=False, replace=True, absent=_NO_SETTING),
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
        "cache": {"size": 500},
        "keys": {
            "orders": {"type": "aes256-gcm96", "auto_rotate_period": "30d", "deletion_allowed": True},
            "lookups": {"derived": True, "convergent_encryption": True, "deletion_allowed": True},
            "releases": {"type": "ed25519", "deletion_allowed": True},
            "webhooks": {"type": "hmac", "key_size": 32, "deletion_allowed": True},
        },
    },
)
