"""Whoever is on call needs no root: the rights that are printed are enough, and no more is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.commands.check import incident_rights
from orchestrator.errors import Refused
from tests.incident.scene import NAME, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]
DECLARED: dict[str, Any] = {"auth": {"approle": {"type": "approle"}}, "secrets": {"apps": {"type": "kv-v2"}}}


@pytest.fixture
def called(stack: Stack, tmp_path: Path) -> Scene:
    scene = Scene.on(stack, tmp_path, DECLARED)
    scene.approle("payments", "orders")
    scene.server.write("sys/policies/acl/on-call", {"policy": incident_rights(tmp_path, NAME)})
    return scene


def test_the_printed_rights_are_enough(called: Scene) -> None:
    tokens = [called.login(role)["client_token"] for role in ("payments", "orders")]
    me = called.token("on-call")

    outcome = called.cut(("role", "auth/approle/payments"), token=me)

    assert (outcome.code, [one.stops for one in called.shown[-1].problems if one.stops]) == (0, [])
    assert [called.lives(token) for token in (*tokens, me)] == [False, True, True]


def test_what_is_missing_is_told_before_anything_is_done(called: Scene) -> None:
    token = called.login("payments")["client_token"]
    rules = [line for line in incident_rights(called.root, NAME).splitlines() if "revoke-accessor" not in line]
    called.server.write("sys/policies/acl/on-call", {"policy": "\n".join(rules)})

    with pytest.raises(Refused, match="the token lacks update on auth/token/revoke-accessor in namespace"):
        called.cut(("role", "auth/approle/payments"), token=called.token("on-call"))

    assert called.lives(token)


def test_the_printed_rights_are_enough_for_batch_tokens_too(called: Scene) -> None:
    called.server.write("auth/approle/role/payments", {"token_type": "batch"})
    tokens = [called.login(role)["client_token"] for role in ("payments", "orders")]

    outcome = called.cut(("role", "auth/approle/payments"), token=called.token("on-call"), namespace="all")

    assert outcome.code == 0
    assert [called.lives(token) for token in tokens] == [False, True]
