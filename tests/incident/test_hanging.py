"""What hangs on a token dies with it; the same role's accounts of others live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
POLICY = 'path "ssh/creds/*" { capabilities = ["create", "update"] }'


@pytest.fixture
def doors(scene: Scene) -> Scene:
    """Two roles whose tokens hold one-time passwords, each with a lease."""
    scene.server.write("sys/mounts/ssh", {"type": "ssh"})
    scene.server.write("ssh/roles/door", {"key_type": "otp", "default_user": "ops", "cidr_list": "127.0.0.0/8"})
    scene.server.write("sys/policies/acl/doors", {"policy": POLICY})
    scene.approle("payments", "orders", token_policies=["doors"])
    return scene


def passwords(scene: Scene, role: str, count: int) -> list[str]:
    mine = scene.server.as_token(scene.login(role)["client_token"])
    return [mine.request("POST", "ssh/creds/door", {"ip": "127.0.0.1"}).lease for _ in range(count)]


def lives(scene: Scene, lease: str) -> bool:
    try:
        return bool(scene.server.write("sys/leases/lookup", {"lease_id": lease}))
    except Rejected:
        return False


def test_leases_end_with_their_tokens_and_no_others(doors: Scene) -> None:
    leaked, other = passwords(doors, "payments", 5), passwords(doors, "orders", 3)

    preview = doors.look(("role", "auth/approle/payments"))
    outcome = doors.cut(("role", "auth/approle/payments"))

    assert preview.blast is not None
    assert preview.blast.leases == ((doors.namespace, "ssh/creds/door", 8),)
    assert ([lives(doors, one) for one in leaked], [lives(doors, one) for one in other]) == ([False] * 5, [True] * 3)
    assert outcome.code == 0
    proof = next(one for one in outcome.proofs if one.title.endswith("ssh/creds/door"))
    assert (proof.title, proof.dead, proof.said) == (
        f"5 leases of {doors.namespace}/ssh/creds/door",
        True,
        "ended with their tokens; each of the 3 that are left has time left: none of them hung on a dead token",
    )


def test_leases_by_a_policy_of_the_entity_are_looked_for(doors: Scene) -> None:
    doors.approle("guests", mount="visitors")
    entity = doors.login("guests", "visitors")["entity_id"]
    doors.server.write(f"identity/entity/id/{entity}", {"policies": ["doors"]})
    guest = doors.server.as_token(doors.login("guests", "visitors")["client_token"])
    guest.request("POST", "ssh/creds/door", {"ip": "127.0.0.1"})

    preview = doors.look(("role", "auth/visitors/guests"))

    assert preview.blast is not None
    assert preview.blast.leases == ((doors.namespace, "ssh/creds/door", 1),)


@pytest.mark.parametrize("target", [("policy", "doors"), ("group", "openers")])
def test_leases_are_watched_though_what_allowed_them_is_shut_by_then(doors: Scene, target: tuple[str, str]) -> None:
    leaked = passwords(doors, "payments", 2)
    members = [one["id"] for one in entities(doors)]
    doors.server.write("identity/group", {"name": "openers", "policies": ["doors"], "member_entity_ids": members})

    outcome = doors.cut(target)

    assert [lives(doors, one) for one in leaked] == [False, False]
    assert [(one.dead, one.title) for one in outcome.proofs if one.what == "lease"] == [
        (True, f"2 leases of {doors.namespace}/ssh/creds/door")
    ]


def entities(scene: Scene) -> list[Mapping[str, Any]]:
    names = scene.server.list("identity/entity/name")
    return [found for name in names if (found := scene.server.read(f"identity/entity/name/{name}"))]


def test_leases_that_nobody_may_look_at_are_unproven(doors: Scene) -> None:
    passwords(doors, "payments", 1)
    rules = 'path "*" { capabilities = ["create", "read", "update", "list", "sudo"] }\n'
    doors.server.write(
        "sys/policies/acl/blind", {"policy": f'{rules}path "sys/leases/*" {{ capabilities = ["deny"] }}'}
    )

    outcome = doors.cut(("role", "auth/approle/payments"), token=doors.token("blind"))

    assert [one.dead for one in outcome.proofs if one.what == "lease"] == [None]
    assert outcome.code == 2
