"""Every seal is declared, rendered and taken by the servers that have it, and refused for those that do not."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.cluster.render.server import server_hcl
from orchestrator.cluster.seals import SEALS
from orchestrator.config import clusters
from orchestrator.config.checks import lacks
from orchestrator.errors import ConfigInvalid
from orchestrator.local import process, servers
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.declared import Cluster
    from orchestrator.documents import Json

SERVERS = {
    "openbao-2.6.2": ("openbao", "2.6.2"),
    "openbao-2.7.2": ("openbao", "2.7.2"),
    "vault-1.19": ("vault", "1.19.0"),
}
OCI = "kms.us-ashburn-1.oraclecloud.com"
EXAMPLES: dict[str, dict[str, Json]] = {
    "shamir": {},
    "awskms": {
        "region": "eu-central-1",
        "kms_key_id": "arn:aws:kms:eu-central-1:123456789012:alias/unseal",
        "endpoint": "https://vpce-0a1b-kms.kms.eu-central-1.vpce.amazonaws.com",
        "access_key": "env:UNSEAL_ID",
        "secret_key": "env:UNSEAL_SECRET",
    },
    "azurekeyvault": {
        "tenant_id": "46646709-b63e-4747-be42-516edeaf1e14",
        "client_id": "03dc33fc-16d9-4b77-8152-3ec568f8af6e",
        "client_secret": "env:UNSEAL_SECRET",
        "vault_name": "unseal-example",
        "key_name": "unseal",
    },
    "gcpckms": {
        "credentials": "/nowhere/unseal.json",
        "project": "example-project",
        "region": "europe-west3",
        "key_ring": "unseal",
        "crypto_key": "unseal",
    },
    "ocikms": {
        "key_id": "ocid1.key.oc1.iad.example.key",
        "crypto_endpoint": f"https://example-crypto.{OCI}",
        "management_endpoint": f"https://example-management.{OCI}",
        "auth_type_api_key": True,
    },
    "transit": {
        "address": "https://127.0.0.1:9",
        "key_name": "unseal",
        "mount_path": "transit/",
        "disable_renewal": False,
        "tls_server_name": "unseal.example.org",
        "token": "env:UNSEAL_TOKEN",
    },
    "static": {"current_key_id": "k1", "current_key": "file:///nowhere/unseal.key"},
    "pkcs11": {"lib": "/nowhere/hsm.so", "slot": "1", "key_label": "unseal", "pin": "env:UNSEAL_PIN"},
    "kmip": {
        "endpoint": "127.0.0.1:9",
        "kms_key_id": "unseal",
        "client_cert": "/nowhere/unseal.crt",
        "client_key": "/nowhere/unseal.key",
        "timeout": 3,
    },
}
# What a server that took the settings says when it finds no such key: it asked the seal's own program for it.
REACHED = {
    "awskms": "error fetching AWS KMS wrapping key information: NoCredentialProviders",
    "azurekeyvault": "error fetching Azure Key Vault wrapper key information",
    "gcpckms": "error initializing GCP CKMS wrapper client",
    "ocikms": "error initializing OCI KMS client",
    "transit": 'Put "https://127.0.0.1:9/v1/transit/encrypt/unseal"',
    "static": "error reading file at file:///nowhere/unseal.key",
    "pkcs11": "this build of OpenBao has PKCS#11 disabled",
    "kmip": "open /nowhere/unseal.crt: no such file or directory",
}


def declared(root: Path, seal: str, server: str, *, plugin: bool = False) -> Cluster:
    """A cluster elsewhere with that seal."""
    product, version = SERVERS[server]
    said: dict[str, Json] = {
        "cluster": "sealed",
        "server": {"product": product, "version": version},
        "nodes": {"n1": {"address": "127.0.0.1"}},
        "storage": {"raft": {"path": str(root)}},
        "seal": {seal: EXAMPLES[seal]},
    }
    if plugin:
        said["plugins"] = {seal: {"command": "unsealer", "sha256sum": "0" * 64, "args": ["-quiet"]}}
        said["settings"] = {"plugin_directory": "/opt/plugins"}
    folder = root / "vault-config/clusters"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sealed.yaml").write_text(json.dumps(said))
    return clusters.named(root, "sealed", None)


def bare(server: str) -> Cluster:
    from orchestrator.declared import Cluster  # noqa: PLC0415 - for types alone elsewhere

    return Cluster("", *SERVERS[server])


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("seal", SEALS)
def test_a_seal_is_rendered_for_the_servers_that_have_it(seal: str, server: str, tmp_path: Path) -> None:
    kind = SEALS[seal]
    if reason := lacks(kind.absent, bare(server)):
        with pytest.raises(ConfigInvalid, match=f": seal/{seal}: {reason}; choose another seal"):
            declared(tmp_path, seal, server)
        return
    cluster = declared(tmp_path, seal, server, plugin=bool(lacks(kind.plugin, bare(server))))
    text = server_hcl(cluster, cluster.nodes[0])

    assert (f'seal "{seal}" {{' in text) == kind.auto
    assert (f'plugin "kms" "{seal}" {{' in text) == bool(cluster.plugins)
    assert [name for name in EXAMPLES[seal] if (f"  {name} " in text) == (name in kind.secrets)] == []
    assert "env:" not in text


def test_a_seal_that_is_a_plugin_needs_its_program(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        declared(tmp_path, "gcpckms", "openbao-2.7.2")
    cluster = declared(tmp_path, "gcpckms", "openbao-2.7.2", plugin=True)

    assert "; write plugins: {gcpckms: {command: PROGRAM, sha256sum: SUM}}" in str(caught.value)
    assert server_hcl(cluster, cluster.nodes[0]).split("\n\n")[3] == (
        f'plugin "kms" "gcpckms" {{\n  command   = "unsealer"\n  sha256sum = "{"0" * 64}"\n  args      = ["-quiet"]\n}}'
    )


@pytest.mark.server
@pytest.mark.parametrize(
    ("seal", "server"),
    [(seal, "openbao-2.6.2") for seal in REACHED] + [(seal, "openbao-2.7.2") for seal in ("transit", "static", "kmip")],
)
def test_a_server_takes_the_settings_of_a_seal(seal: str, server: str, tmp_path: Path) -> None:
    """It gets as far as asking for a key that is not there."""
    cluster = declared(tmp_path, seal, server)
    file = tmp_path / "server.hcl"
    file.write_text(server_hcl(cluster, cluster.nodes[0]).replace(":8200", f":{process.free_ports(1)[0]}"))
    program = servers.find(REPOSITORY / ".strongroom", server)
    servers.fetch(program, 0)
    environ = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AZURE_CLIENT_SECRET": "x",
        "VAULT_TOKEN": "x",
        "VAULT_MAX_RETRIES": "0",
        "HOME": str(tmp_path),
    }
    checked, started = (
        subprocess.run(
            [program.program, *words, f"-config={file}"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for words in (("operator", "validate-config"), ("server",))
    )

    assert (checked.returncode, "success" in checked.stdout + checked.stderr) == (0, True)
    assert (started.returncode, REACHED[seal] in started.stdout + started.stderr) == (1, True), started.stderr
