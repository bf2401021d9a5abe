"""The modules for the key that unseals: what Terraform makes of them without a provider, and what they allow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from orchestrator.cluster.seals import SEALS
from orchestrator.terraform import binary
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

MODULES = REPOSITORY / "terraform" / "unseal"
PURE = ("variables.tf", "locals.tf", "outputs.tf")  # what needs no provider
ROLE = "arn:aws:iam::123456789012:role/service/openbao"
UUID = "5f0c7d0e-8f0a-4b53-9d0a-2f6f0d6a1b11"
GIVEN: dict[str, dict[str, str]] = {
    "aws": {"cluster": "prod", "region": "eu-central-1", "role_arn": ROLE},
    "azure": {
        "cluster": "prod",
        "vault_name": "prod-unseal",
        "resource_group_name": "vault",
        "location": "westeurope",
        "tenant_id": UUID,
        "principal_id": UUID,
    },
    "gcp": {
        "cluster": "prod",
        "project": "vault-prod",
        "region": "europe-west3",
        "service_account": "openbao@vault-prod.iam.gserviceaccount.com",
    },
}


def terraform(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    found = binary.find(os.environ, folder / ".bin")
    environ = binary.environment(os.environ, {"TF_CLI_ARGS": "-no-color"})
    return subprocess.run([found.command, *words], cwd=folder, env=environ, capture_output=True, text=True, check=False)


def applied(folder: Path, module: str, **given: str) -> subprocess.CompletedProcess[str]:
    """What the module says of itself, evaluated by Terraform."""
    for name in PURE:
        shutil.copy(MODULES / module / name, folder)
    (folder / "terraform.tfvars.json").write_text(json.dumps({**GIVEN[module], **given}))
    begun = terraform(folder, "init", "-backend=false")
    assert begun.returncode == 0, begun.stderr
    return terraform(folder, "apply", "-auto-approve")


def outputs(folder: Path, module: str, **given: str) -> dict[str, Any]:
    done = applied(folder, module, **given)
    assert done.returncode == 0, done.stderr
    return {name: one["value"] for name, one in json.loads(terraform(folder, "output", "-json").stdout).items()}


def actions() -> set[str]:
    """Every action that AWS's KMS has."""
    return {f"kms:{name}" for name in botocore.session.get_session().get_service_model("kms").operation_names}


def permitted(policy: dict[str, Any]) -> set[str]:
    judge = IAMPolicy(json.dumps(policy))
    return {one for one in actions() if judge.is_action_permitted(one) is PermissionResult.PERMITTED}


@pytest.mark.parametrize("module", GIVEN)
def test_a_module_is_formatted_and_loads(tmp_path: Path, module: str) -> None:
    shutil.copytree(MODULES / module, tmp_path / module)
    (tmp_path / "none").mkdir()

    assert terraform(tmp_path / module, "fmt", "-check", "-diff").stdout == ""
    begun = terraform(tmp_path / module, "init", "-backend=false", f"-plugin-dir={tmp_path / 'none'}")
    assert re.findall(r"Error: (.*)", begun.stderr) == ["Failed to query available provider packages"]


@pytest.mark.parametrize(("module", "kind"), [("aws", "awskms"), ("azure", "azurekeyvault"), ("gcp", "gcpckms")])
def test_a_module_gives_the_settings_of_its_seal(tmp_path: Path, module: str, kind: str) -> None:
    (found,) = outputs(tmp_path, module)["seal"].items()

    assert found[0] == kind
    assert set(SEALS[kind].required) <= set(found[1]) <= set(SEALS[kind].settings)


REFUSED = {
    ("aws", "role_arn", "*"): "role_arn: write the whole ARN, such as arn:aws:iam::123456789012:role/openbao.",
    ("aws", "region", "frankfurt"): "region: write it like eu-central-1.",
    ("azure", "principal_id", "x"): (
        "principal_id: write a UUID in lower case; it is the object id, not the client id."
    ),
    ("azure", "vault_name", "a--b"): ("vault_name: write 3 to 24 letters, digits and single hyphens, a letter first."),
    ("gcp", "service_account", "allUsers"): (
        "service_account: write its address, such as openbao@project.iam.gserviceaccount.com."
    ),
    ("gcp", "project", "123"): "project: write the project's id, not its number or its title.",
}


@pytest.mark.parametrize(("module", "name", "value"), REFUSED)
def test_a_value_that_cannot_be_right_is_refused(tmp_path: Path, module: str, name: str, value: str) -> None:
    done = applied(tmp_path, module, **{name: value})

    assert done.returncode == 1
    assert REFUSED[module, name, value] in " ".join(done.stderr.split())


def test_on_aws_the_nodes_may_encrypt_decrypt_and_describe_and_nothing_else(tmp_path: Path) -> None:
    policy = json.loads(outputs(tmp_path, "aws")["key_policy"])
    (nodes,) = [one for one in policy["Statement"] if one["Principal"] == {"AWS": [ROLE]}]

    assert permitted({**policy, "Statement": [nodes]}) == {"kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"}
    assert nodes["Effect"] == "Allow"


def test_on_aws_who_manages_the_key_cannot_use_it(tmp_path: Path) -> None:
    policy = json.loads(outputs(tmp_path, "aws")["key_policy"])
    (managers,) = [one for one in policy["Statement"] if one["Principal"] != {"AWS": [ROLE]}]
    may = permitted({**policy, "Statement": [managers]})

    assert managers["Principal"] == {"AWS": ["arn:aws:iam::123456789012:root"]}
    assert set(managers["Action"]) == may  # each of them is an action that KMS has
    assert {one for one in may if re.search("crypt|Generate|Grant|Sign|Verify|Import|Replicate", one)} == {
        "kms:ListGrants",
        "kms:ListRetirableGrants",
        "kms:RevokeGrant",
    }


def test_on_aws_the_key_policy_is_what_kms_takes(tmp_path: Path) -> None:
    import boto3  # noqa: PLC0415 - it takes a second
    from moto import mock_aws  # noqa: PLC0415

    policy = outputs(tmp_path, "aws")["key_policy"]
    with mock_aws():
        client = boto3.client("kms", "eu-central-1", aws_access_key_id="local", aws_secret_access_key="local")
        key = client.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
        assert client.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == policy


def test_on_azure_and_google_the_nodes_may_do_what_the_server_asks_for(tmp_path: Path) -> None:
    (tmp_path / "azure").mkdir()
    (tmp_path / "gcp").mkdir()

    assert outputs(tmp_path / "azure", "azure")["uses"] == [
        f"Microsoft.KeyVault/vaults/keys/{verb}" for verb in ("read", "unwrap/action", "wrap/action")
    ]
    assert outputs(tmp_path / "gcp", "gcp")["uses"] == [
        "cloudkms.cryptoKeyVersions.useToDecrypt",
        "cloudkms.cryptoKeyVersions.useToEncrypt",
        "cloudkms.cryptoKeys.get",
    ]


@pytest.mark.parametrize("module", GIVEN)
def test_nothing_that_opens_the_cluster_is_destroyed_by_accident(module: str) -> None:
    text = (MODULES / module / "main.tf").read_text()
    blocks = re.findall(r'^resource "(\w+)" "unseal" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    holds = {kind: body for kind, body in blocks if re.search("(key|ring|vault|alias)$", kind)}

    assert holds
    assert [kind for kind, body in holds.items() if "prevent_destroy = true" not in body] == []
