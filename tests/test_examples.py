"""Every kind's example loads, renders and is taken by Terraform, also where no server that has it can run here.

Terraform plans with the offline provider as for an empty server: each value meets the type of its argument, each
reference finds what it names. What servers say to a plan is told by test_catalog.py and test_official_recordings.py.
"""

from __future__ import annotations

import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from orchestrator.catalog import AUTH, CATALOG, SECRETS, SYSTEM
from orchestrator.commands.check import render, validate
from orchestrator.config.checks import lacks
from orchestrator.config.load import load
from orchestrator.declared import Cluster
from orchestrator.instances import instances
from orchestrator.live.drift import drift
from orchestrator.terraform import binary, run
from orchestrator.terraform.provider.state import flatten, nest
from orchestrator.terraform.workspace import _offline_provider
from tests.support import REPOSITORY, declare, everything
from tests.test_official_behaviour import RECORDED
from tests.test_official_recordings import OURS, Replayed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.instances import Instance
    from orchestrator.model import Kind, Resource

CLUSTERS = {
    "openbao-2.7": Cluster("test", "openbao", "2.7.2"),
    "openbao-2.6": Cluster("test", "openbao", "2.6.2"),
    "vault-1.19": Cluster("test", "vault", "1.19.0"),
    "vault-1.21-enterprise": Cluster("test", "vault", "1.21.0", "enterprise"),
}
RUNNING = ("openbao-2.7", "openbao-2.6")
NAME = "examples"
# What these paths answer to the examples by the sources of their servers: nobody recorded one with such an object.
# Objects whose example would need a server that does not run with the suite's stack.
ELSEWHERE = {
    ("secrets/ldap", "static_roles"): "tests/real takes over an account of a real directory",
    ("secrets/ldap", "library"): "tests/real lends an account of a real directory",
}
ANSWERS: dict[str, dict[str, Json]] = {
    "auth/e-alicloud/role/payments": {
        "arn": "acs:ram::5138828231865461:role/payments",
        "token_policies": ["payments-read"],
        "token_ttl": 900,
        "token_max_ttl": 14400,
        "token_type": "default",
    },
    "sys/policies/egp/office-hours": {
        "name": "office-hours",
        "enforcement_level": "soft-mandatory",
        "paths": ["apps/*"],
        "policy": SYSTEM["egp_policies"].example["office-hours"]["policy"],
    },
    "sys/policies/rgp/office-hours": {
        "name": "office-hours",
        "enforcement_level": "soft-mandatory",
        "policy": SYSTEM["rgp_policies"].example["office-hours"]["policy"],
    },
    "e-alicloud/config": {"access_key": "LTAIEXAMPLE"},
    "e-alicloud/role/uploads": {
        "role_arn": "",
        "inline_policies": [
            {
                "hash": "3b1f26d8a1f04f6f9f0a1d2c3e4b5a69",
                "policy_document": SECRETS["alicloud"].example["roles"]["uploads"]["inline_policies"][0],
            }
        ],
        "remote_policies": [{"name": "AliyunOSSReadOnlyAccess", "type": "System"}],
        "ttl": 1800,
        "max_ttl": 28800,
    },
    "e-alicloud/role/reports": {
        "role_arn": "acs:ram::5138828231865461:role/reports",
        "inline_policies": None,
        "remote_policies": None,
        "ttl": 0,
        "max_ttl": 0,
    },
    "auth/e-aws/config/identity": {
        "iam_alias": "full_arn",
        "iam_metadata": ["auth_type", "account_id", "client_arn"],
        "ec2_alias": "role_id",
        "ec2_metadata": ["account_id", "auth_type"],
    },
    "auth/e-aws/config/tidy/identity-whitelist": {"safety_buffer": 86400, "disable_periodic_tidy": False},
    "auth/e-aws/config/tidy/roletag-blacklist": {"safety_buffer": 86400, "disable_periodic_tidy": False},
    "auth/e-aws/config/certificate/outpost": {
        "aws_public_cert": AUTH["aws"].example["certificates"]["outpost"]["aws_public_cert"],
        "type": "pkcs7",
    },
    "auth/e-aws/config/sts/210987654321": {
        "sts_role": "arn:aws:iam::210987654321:role/vault",
        "external_id": "example",
    },
    "auth/e-github/map/users/ada": {"key": "ada", "value": "payments-read"},
    "auth/e-okta/groups/payments": {"policies": ["payments-read"]},
    "auth/e-okta/users/ada@example.org": {"groups": ["payments"], "policies": ["payments-read"]},
    "e-aws/static-roles/mailer": {"name": "mailer", "username": "mailer", "rotation_period": 86400},
    "e-azure/roles/reports": {
        "ttl": 1800,
        "max_ttl": 28800,
        "explicit_max_ttl": 0,
        "azure_roles": [
            {
                "role_name": "Reader",
                "role_id": "/subscriptions/6a1d5988/providers/Microsoft.Authorization/roleDefinitions/acdd72a7",
                "scope": "/subscriptions/6a1d5988-5917-4221-b224-904cd7e24a25",
            }
        ],
        "azure_groups": [{"group_name": "reports", "object_id": "f0c2e8f0-1c2b-4a57-8d3c-6c6f3a0e5f11"}],
        "application_object_id": "",
        "permanently_delete": True,
        "persist_app": False,
        "sign_in_audience": "AzureADMyOrg",
        "tags": ["team:payments"],
    },
    "e-azure/static-roles/mailer": {
        "application_object_id": "4b2d4e3c-7c0b-4a2b-9d1f-3f0a5b1c9e77",
        "ttl": 31536000,
        "metadata": {"team": "payments"},
    },
    "e-gcp/roleset/reports": {
        "project": "example-project",
        "secret_type": "access_token",
        "token_scopes": ["https://www.googleapis.com/auth/cloud-platform.read-only"],
        "bindings": {"//cloudresourcemanager.googleapis.com/projects/example-project": ["roles/viewer"]},
        "service_account_email": "vaultreports-1700000000@example-project.iam.gserviceaccount.com",
    },
    "e-gcp/static-account/mailer": {
        "service_account_email": "mailer@example-project.iam.gserviceaccount.com",
        "service_account_project": "example-project",
        "secret_type": "service_account_key",
    },
    "e-gcp/impersonated-account/uploads": {
        "service_account_email": "uploads@example-project.iam.gserviceaccount.com",
        "service_account_project": "example-project",
        "token_scopes": ["https://www.googleapis.com/auth/devstorage.read_write"],
        "ttl": 900,
    },
    "e-mongodbatlas/roles/reports": {
        "project_id": "5cf5a45a9ccf6400e60981b6",
        "database_name": "",
        "roles": ["GROUP_READ_ONLY"],
        "organization_id": "",
        "cidr_blocks": ["10.0.0.0/8"],
        "ip_addresses": None,
        "project_roles": None,
        "ttl": 1800,
        "max_ttl": 28800,
    },
}


class Empty(BaseHTTPRequestHandler):
    """A server that knows the token, which the provider asks for first, and nothing else."""

    def do_GET(self) -> None:
        body = b'{"data": {}}' if self.path == "/v1/auth/token/lookup-self" else b'{"errors": []}'
        self.send_response(200 if "data" in body.decode() else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def empty() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


clusters = pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS)


def rendered(root: Path, cluster: Cluster) -> dict[str, Json]:
    """What everything the server has becomes, as Terraform's JSON."""
    server: dict[str, Json] = {"product": cluster.server, "version": cluster.version}
    if cluster.edition == "enterprise":
        server["edition"] = cluster.edition
    document = everything("e", cluster)
    declare(root, {"server": server}, NAME, document)
    return render(root, NAME, environ(document))


def environ(document: Json) -> dict[str, str]:
    """An address for whatever the examples leave to the environment."""
    return dict.fromkeys(re.findall(r"\$\{(\w+)\}", json.dumps(document)), "127.0.0.1:5432")


def workspace(root: Path, address: str, document: dict[str, Json]) -> run.Workspace:
    """A folder in which Terraform runs with the offline provider."""
    folder = root / "run"
    folder.mkdir()
    (folder / "versions.tf").write_text((REPOSITORY / "terraform/versions.tf").read_text())
    (folder / "backend.tf.json").write_text(json.dumps({"terraform": {"backend": {"local": {}}}}))
    (folder / "rendered.tf.json").write_text(json.dumps(document))
    server = {"VAULT_ADDR": address, "VAULT_TOKEN": "anybody", "TF_DISABLE_PLUGIN_TLS": "1"}
    secrets = {f"TF_VAR_{one}": "canary" for one in document["variable"]}
    terraform = binary.find(os.environ, root / "bin")
    return run.Workspace(folder, terraform, binary.environment(os.environ, server | secrets), _offline_provider(root))


@clusters
def test_every_example_a_server_has_is_valid_together(cluster: Cluster, tmp_path: Path) -> None:
    assert rendered(tmp_path, cluster)["resource"]
    assert validate(tmp_path, [NAME]).counted[NAME] > len(CATALOG) // 2


@pytest.mark.parametrize("kind", CATALOG.values(), ids=lambda kind: kind.id)
def test_every_object_is_in_an_example_that_renders(kind: Kind, tmp_path: Path) -> None:
    cluster = next(one for one in reversed(CLUSTERS.values()) if not lacks(kind.absent, one))
    shown = rendered(tmp_path, cluster)["resource"].keys()
    hidden = [
        one.key
        for one in kind.objects
        if one.parts
        and (kind.id, one.key) not in ELSEWHERE
        and not lacks(one.absent, cluster)
        and not {part.resource.type for part in one.parts} & shown
    ]

    assert hidden == []
    assert kind.mount is None or kind.mount.type in shown


@clusters
def test_terraform_takes_every_example(cluster: Cluster, empty: str, tmp_path: Path) -> None:
    document = rendered(tmp_path, cluster)
    place = workspace(tmp_path, empty, document)
    run.init(place)
    run.plan(place, tmp_path / "plan", lambda _: None, refresh=False)
    planned = run.show(place, tmp_path / "plan")["resource_changes"]

    assert {one["type"] for one in planned} == document["resource"].keys()
    assert {tuple(one["change"]["actions"]) for one in planned} == {("create",)}


@pytest.fixture(scope="module")
def on_enterprise(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Instance]:
    """What the examples declare on a server that has the most of them, by the path that shows it."""
    root = tmp_path_factory.mktemp("enterprise")
    cluster = CLUSTERS["vault-1.21-enterprise"]
    rendered(root, cluster)
    declared = instances(load(root, NAME, environ(everything("e", cluster))))
    return {one.exists_path: one for one in declared}


@pytest.mark.parametrize("path", ANSWERS)
def test_what_a_server_would_answer_is_what_was_declared(path: str, on_enterprise: dict[str, Instance]) -> None:
    one = on_enterprise[path]
    resource = one.resource
    provider = Replayed(resource.type, {"read_response": {path: ANSWERS[path]}})
    arguments = {attribute.terraform: attribute.shape.render(value) for attribute, value in one.settings()}
    config = nest(resource, flatten(resource, {}) | {name: one.names[name] for name in names(resource)} | arguments)
    made = provider.apply(resource.type, None, provider.plan(resource.type, None, config, config).state, config)
    again = provider.plan(resource.type, provider.read(resource.type, made or {}), config, config)

    assert (again.state, again.replace) == (made, ())
    assert drift([one], {path: ANSWERS[path]}) == []


def names(resource: Resource) -> list[str]:
    return [name for name in (resource.mount, resource.name) if name]


@pytest.mark.skipif(not OURS, reason="no recorded behaviour of the official provider")
def test_every_type_that_cannot_run_here_has_been_answered(on_enterprise: dict[str, Instance]) -> None:
    answered = {on_enterprise[path].resource.type for path in ANSWERS}
    answered |= {name.split("#", maxsplit=1)[0] for name in OURS if RECORDED[name].get("read_response")}
    elsewhere = [kind for kind in CATALOG.values() if all(lacks(kind.absent, CLUSTERS[one]) for one in RUNNING)]

    assert {resource.type for kind in elsewhere for resource in resources(kind)} - answered == set()


def resources(kind: Kind) -> list[Resource]:
    return [*([kind.mount] if kind.mount else []), *(part.resource for one in kind.objects for part in one.parts)]
