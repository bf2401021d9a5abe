"""What leaked is dead afterwards, all else lives, and a leak is named in many ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import Refused, StrongroomError
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
ROLES = tuple(f"role-{number}" for number in range(11))


def alive(scene: Scene, tokens: list[str]) -> int:
    return sum(scene.lives(token) for token in tokens)


def test_a_role_is_cut_and_ten_others_live(scene: Scene) -> None:
    scene.approle(*ROLES)
    tokens = {role: [scene.login(role)["client_token"] for _ in range(5)] for role in ROLES}
    leaked = scene.secret_id("role-3")

    outcome = scene.cut(("role", "auth/approle/role-3"))

    assert (outcome.code, outcome.cut.left) == (0, {})
    assert {role: alive(scene, held) for role, held in tokens.items()} == {
        role: 0 if role == "role-3" else 5 for role in ROLES
    }
    with pytest.raises(Rejected, match=r"unauthorized by CIDR restrictions|invalid role or secret ID"):
        scene.server.as_token("").write("auth/approle/login", leaked)
    assert len(scene.server.list("auth/approle/role/role-2/secret-id")) == 5
    assert scene.server.list("auth/approle/role/role-3/secret-id") == ()


def test_a_look_changes_nothing(scene: Scene) -> None:
    scene.approle("payments")
    token = scene.login("payments")["client_token"]
    before = scene.server.read("auth/approle/role/payments")

    preview = scene.look(("role", "auth/approle/payments"))

    assert preview.blast is not None
    assert sorted(one.what for one in preview.blast.credentials) == ["SecretID", "token"]
    assert alive(scene, [token]) == 1
    assert scene.server.read("auth/approle/role/payments") == before
    assert not (scene.root / "incidents").exists()


def test_only_the_digest_that_was_shown_goes_on(scene: Scene) -> None:
    scene.approle("payments")
    token = scene.login("payments")["client_token"]
    shown = scene.look(("role", "auth/approle/payments")).digest

    with pytest.raises(Refused, match="look again with --dry-run"):
        scene.cut(("role", "auth/approle/payments"), yes="0" * 12)

    assert alive(scene, [token]) == 1
    assert scene.cut(("role", "auth/approle/payments"), yes=shown).code == 0
    assert alive(scene, [token]) == 0


def test_all_that_is_wrong_with_the_targets_is_told_at_once(scene: Scene) -> None:
    scene.approle("payments")

    with pytest.raises(StrongroomError) as wrong:
        scene.look(("role", "auth/approle/paymets"), ("policy", "none"))

    assert str(wrong.value).splitlines() == [
        f"role auth/approle/paymets: there is none in namespace {scene.namespace}; those on approle are: payments",
        "policy none: there is none; the policies are: default",
    ]
