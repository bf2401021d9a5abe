"""The least rights that the tool prints are enough."""

from __future__ import annotations

import http.client
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.catalog import SYSTEM
from orchestrator.commands.check import rights
from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.live.drift import UNDECLARED
from tests.support import everything, no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]


@pytest.fixture
def inside(api: Api) -> Iterator[Api]:
    """A namespace of its own."""
    name = f"ci-{secrets.token_hex(4)}"
    api.call("POST", f"sys/namespaces/{name}", {})
    found = replace(api, namespace=name)
    yield found
    found.close()


def _token(running: Stack, namespace: str, policy: str) -> str:
    connection = http.client.HTTPConnection(running.address.removeprefix("http://"))
    headers = {"X-Vault-Token": running.token, "X-Vault-Namespace": namespace}
    body = json.dumps({"policies": [policy], "no_default_policy": True, "no_parent": True})
    connection.request("POST", "/v1/auth/token/create", body, headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return str(answer["auth"]["client_token"])


@pytest.mark.parametrize("place", ["namespace", "root"])
def test_the_rights_that_the_tool_prints_are_enough_for_every_kind(
    stack: Stack, api: Api, inside: Api, tmp_path: Path, place: str
) -> None:
    """In a namespace all that it may hold; in the root namespace what is there alone."""
    where = inside if place == "namespace" else api
    document = everything("r", stack, namespace=where.namespace, without=frozenset({"passthrough"}))
    if place == "root":
        document = _of_the_root(document)
    environ = project(tmp_path, stack, "rights", document)
    planner, applier = (
        {**environ, "VAULT_TOKEN": _allowed(stack, where, rights(tmp_path, "rights", writes=writes))}
        for writes in (False, True)
    )
    asked = Asked(destroy=["all"], many=True, verify=False)

    assert plan(tmp_path, "rights", planner, no_progress, None).changes
    assert apply(tmp_path, "rights", applier, no_progress, no_question, asked).pending == ()
    assert plan(tmp_path, "rights", planner, no_progress, None).changes == ()
    assert [one for one in drift(tmp_path, "rights", planner).drifts if one.declared != UNDECLARED] == []

    project(tmp_path, stack, "rights", {"namespace": where.namespace} if where.namespace else {})

    assert apply(tmp_path, "rights", applier, no_progress, no_question, asked).pending == ()


def _of_the_root(document: dict[str, Any]) -> dict[str, Any]:
    """What only the root namespace has of it."""
    found: dict[str, Any] = {}
    for kind in SYSTEM.values():
        section = document.get(kind.name)
        if section and kind.root:
            found[kind.name] = section
        elif section and not kind.is_one and (keys := {one.key for one in kind.objects if one.root} & section.keys()):
            found[kind.name] = {key: section[key] for key in keys}
    return found


def _allowed(running: Stack, where: Api, policy: str) -> str:
    """A token with one policy."""
    name = f"ci-{secrets.token_hex(4)}"
    where.call("POST", f"sys/policies/acl/{name}", {"policy": policy})
    return _token(running, where.namespace, name)
