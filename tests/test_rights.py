"""The least rights that the documentation names are enough, and are what CI gets."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.commands.plan import Asked, apply, plan
from tests.support import REPOSITORY, no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]

TO_PLAN, TO_APPLY = re.findall(r"```hcl\n(.*?)```", (REPOSITORY / "docs" / "ci.md").read_text(), re.DOTALL)


@pytest.fixture
def inside(api: Api) -> Iterator[Api]:
    """A namespace of its own."""
    name = f"ci-{secrets.token_hex(4)}"
    api.call("POST", f"sys/namespaces/{name}", {})
    found = replace(api, namespace=name)
    yield found
    found.close()


def dev(root: Path, running: Stack, inside: Api, policy: str) -> dict[str, str]:
    """The environment `dev` in the namespace, and a token there with one policy."""
    environ = project(root, running, "unused", {})
    shutil.copytree(REPOSITORY / "policies", root / "policies", dirs_exist_ok=True)
    (root / "policies" / "payments-read.hcl").write_text((REPOSITORY / "policies" / "payments-read.hcl").read_text())
    for name in ("base.yaml", "dev.yaml"):
        text = (REPOSITORY / "vault-config" / "environments" / name).read_text()
        text = text.partition("\npassthrough:")[0]  # a quota, which is for the root namespace alone
        text = text.replace("cluster: local", f"cluster: test\nnamespace: {inside.namespace}")
        (root / "vault-config" / "environments" / name).write_text(text)
    inside.call("POST", "sys/policies/acl/ci", {"policy": policy})
    return {**environ, "VAULT_TOKEN": _token(running, inside.namespace)}


def _token(running: Stack, namespace: str) -> str:
    connection = http.client.HTTPConnection(running.address.removeprefix("http://"))
    headers = {"X-Vault-Token": running.token, "X-Vault-Namespace": namespace}
    body = json.dumps({"policies": ["ci"], "no_default_policy": True, "no_parent": True})
    connection.request("POST", "/v1/auth/token/create", body, headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return str(answer["auth"]["client_token"])


def test_the_rights_to_apply_are_enough(stack: Stack, inside: Api, tmp_path: Path) -> None:
    environ = dev(tmp_path, stack, inside, TO_APPLY)
    report = apply(tmp_path, "dev", environ, no_progress, no_question, Asked(verify=False))

    assert report.plan.changes
    assert report.pending == ()


def test_the_rights_to_plan_are_enough(stack: Stack, inside: Api, tmp_path: Path) -> None:
    environ = dev(tmp_path, stack, inside, TO_PLAN)
    root = {**environ, "VAULT_TOKEN": stack.token}
    before = plan(tmp_path, "dev", environ, no_progress, None)
    apply(tmp_path, "dev", root, no_progress, no_question, Asked(verify=False))
    after = plan(tmp_path, "dev", environ, no_progress, None)

    assert before.changes
    assert after.changes == ()
