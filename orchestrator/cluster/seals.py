"""What can open the barrier: one entry a seal; its settings are the server's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json

_NONE: Mapping[str, Json] = MappingProxyType({})
_PLUGIN = MappingProxyType({"openbao>=2.7": "a plugin of this name, as OpenBao 2.7 has no KMS seals of its own"})


@dataclass(frozen=True)
class Secret:
    """A setting that never stands in a file: the server reads it from this variable."""

    variable: str


@dataclass(frozen=True)
class SealKind:
    """A seal: its settings, which of them are needed, and where it exists."""

    name: str
    settings: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)  # by condition: why the server lacks it
    plugin: Mapping[str, str] = field(default_factory=dict)  # by condition: the server has it only as a program
    patterns: Mapping[str, str] = field(default_factory=dict)
    auto: bool = True  # unseals by itself: its keys are recovery keys
    offline: bool = False  # needs nobody on the network
    key_ids: tuple[str, ...] = ()  # settings with the name by which a snapshot calls the key that sealed it


_AWS = {name: Secret(f"AWS_{name.upper()}") for name in ("session_token",)}
SEALS: Mapping[str, SealKind] = {
    one.name: one
    for one in (
        SealKind("shamir", auto=False),
        SealKind(
            "awskms",
            ("region", "kms_key_id", "endpoint"),
            ("region", "kms_key_id"),
            {"access_key": Secret("AWS_ACCESS_KEY_ID"), "secret_key": Secret("AWS_SECRET_ACCESS_KEY"), **_AWS},
            plugin=_PLUGIN,
        ),
        SealKind(
            "azurekeyvault",
            ("tenant_id", "client_id", "environment", "vault_name", "key_name", "resource"),
            ("vault_name", "key_name"),
            {"client_secret": Secret("AZURE_CLIENT_SECRET")},
            plugin=_PLUGIN,
        ),
        SealKind(
            "gcpckms",
            ("credentials", "project", "region", "key_ring", "crypto_key"),
            ("project", "region", "key_ring", "crypto_key"),
            plugin=_PLUGIN,
        ),
        SealKind(
            "ocikms",
            ("key_id", "crypto_endpoint", "management_endpoint", "auth_type_api_key"),
            ("key_id", "crypto_endpoint", "management_endpoint"),
            plugin=_PLUGIN,
        ),
        SealKind(
            "transit",
            (
                "address",
                "key_name",
                "mount_path",
                "namespace",
                "disable_renewal",
                "key_id_prefix",
                "tls_ca_cert",
                "tls_client_cert",
                "tls_client_key",
                "tls_server_name",
                "tls_skip_verify",
            ),
            ("address", "key_name", "mount_path"),
            {"token": Secret("VAULT_TOKEN")},
        ),
        SealKind(
            "static",
            ("current_key_id", "current_key", "previous_key_id", "previous_key"),
            ("current_key_id", "current_key"),
            absent={"vault>=0": "HashiCorp Vault has no static seal", "openbao<2.4": "OpenBao has it since 2.4"},
            patterns={"current_key": "^file://.+", "previous_key": "^file://.+"},
            offline=True,
            key_ids=("current_key_id", "previous_key_id"),
        ),
        SealKind(
            "pkcs11",
            ("lib", "slot", "token_label", "key_label", "key_id", "mechanism", "rsa_oaep_hash"),
            ("lib", "key_label"),
            {"pin": Secret("BAO_HSM_PIN")},
            absent={"vault": "HashiCorp Vault has it only in its Enterprise edition"},
            plugin=_PLUGIN,
        ),
        SealKind(
            "kmip",
            ("endpoint", "kms_key_id", "client_cert", "client_key", "ca_cert", "server_name", "timeout"),
            ("endpoint", "kms_key_id", "client_cert", "client_key"),
            absent={"vault>=0": "HashiCorp Vault has no kmip seal"},
        ),
    )
}
