"""Everyone who could read a path is cut, from wherever they came; nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.live.server import Denied
from orchestrator.live.wire import open_server

if TYPE_CHECKING:
    from tests.incident.scene import Scene

pytestmark = pytest.mark.server


def test_who_could_read_a_path_is_cut(scene: Scene) -> None:
    policies = {
        "reads": 'path "apps/data/payments/*" { capabilities = ["read"] }',
        "denied": 'path "apps/data/payments/db" { capabilities = ["deny"] }',
        "segments": 'path "apps/data/+/db" { capabilities = ["read", "list"] }',
        "lists": 'path "apps/metadata/*" { capabilities = ["list"] }',
        "templated": 'path "apps/data/{{identity.entity.name}}/db" { capabilities = ["read"] }',
    }
    for name, text in policies.items():
        scene.server.write(f"sys/policies/acl/{name}", {"policy": text})
    scene.server.write("sys/mounts/apps", {"type": "kv", "options": {"version": "2"}})
    held = {
        ("reads",): False,
        ("reads", "denied"): True,
        ("segments",): False,
        ("lists",): True,
        ("templated",): False,  # perhaps is yes, after a leak
    }
    tokens = {names: scene.token(*names) for names in held}
    top = open_server(scene.running.address, "", scene.running.token, verify=True)
    top.write(
        f"sys/policies/acl/above-{scene.namespace}",
        {"policy": f'path "{scene.namespace}/apps/*" {{ capabilities = ["read"] }}'},
    )
    above = top.write("auth/token/create", {"policies": [f"above-{scene.namespace}"], "no_parent": True})[
        "client_token"
    ]

    outcome = scene.cut(("path", "apps/payments/db"))

    assert {names: scene.lives(token) for names, token in tokens.items()} == held
    assert not scene.lives(above)
    assert outcome.code == 0
    assert "readers of apps/payments/db: policy templated" in str(outcome.notes)


def test_who_may_not_read_the_policies_is_told_and_cuts_nobody(scene: Scene) -> None:
    scene.server.write("sys/mounts/apps", {"type": "kv", "options": {"version": "2"}})
    rules = 'path "*" { capabilities = ["create", "read", "update", "list", "sudo"] }\n'
    deny = 'path "sys/policies/acl/blind" { capabilities = ["deny"] }'
    scene.server.write("sys/policies/acl/blind", {"policy": rules + deny})
    scene.approle("payments")
    token = scene.login("payments")["client_token"]
    blind = scene.token("blind")

    with pytest.raises(Denied, match="sys/policies/acl/blind cannot be read"):
        scene.look(("path", "apps/payments/db"), token=blind)
    outcome = scene.cut(("role", "auth/approle/payments"), token=blind)

    assert not scene.lives(token)
    assert [one.dead for one in outcome.proofs if one.what == "lease"] == [None]
