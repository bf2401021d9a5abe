"""What only the audit log knows: orphans of a cut token, and who was here from an address."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
MAKES = 'path "auth/token/*" { capabilities = ["create", "update", "sudo"] }'


@pytest.fixture
def log(scene: Scene, stack_root: Path) -> Path:
    if scene.running.server != "openbao":
        pytest.skip("the embedded stack gives an audit log to OpenBao alone")
    return stack_root / ".strongroom/stack/vault/audit.log"


def test_an_orphan_dies_with_the_token_that_made_it(scene: Scene, log: Path) -> None:
    scene.server.write("sys/policies/acl/makes", {"policy": MAKES})
    scene.approle("payments", "orders", token_policies=["makes"])
    thief = scene.server.as_token(scene.login("payments")["client_token"])
    made = thief.write("auth/token/create-orphan", {"policies": ["makes"]})["client_token"]
    its = scene.server.as_token(made).write("auth/token/create-orphan", {"policies": ["default"]})["client_token"]
    child = thief.write("auth/token/create", {"policies": ["default"]})["client_token"]
    honest = scene.server.as_token(scene.login("orders")["client_token"])
    others = honest.write("auth/token/create-orphan", {"policies": ["default"]})["client_token"]

    outcome = scene.cut(("role", "auth/approle/payments"), logs=[log])

    assert [scene.lives(token) for token in (made, its, child, others)] == [False, False, False, True]
    assert outcome.code == 0


def test_without_a_log_orphans_are_said_to_be_there(scene: Scene) -> None:
    scene.approle("payments")
    scene.login("payments")
    orphan = scene.token("default")

    preview = scene.look(("role", "auth/approle/payments"))

    assert preview.blast is not None
    assert preview.blast.spared == (
        "1 tokens without a parent are alive; whose they are only an audit log tells: --audit-log FILE",
    )
    assert scene.lives(orphan)


def test_who_was_here_from_an_address_is_cut(scene: Scene, log: Path) -> None:
    scene.approle("payments")
    used, unused = scene.login("payments")["client_token"], scene.token("default")
    begin = datetime.now(UTC)
    assert scene.lives(used)
    end = datetime.now(UTC)
    assert scene.lives(unused)
    span = f"{begin.isoformat()}/{end.isoformat()}"

    outcome = scene.cut(("client-address", "127.0.0.0/8"), logs=[log], between=span)

    assert [scene.lives(token) for token in (used, unused)] == [False, True]
    assert outcome.code == 0


@pytest.mark.parametrize(
    ("between", "said"),
    [
        ("yesterday", "--between yesterday: write two moments with their time zone, like 2026-01-31T22:00Z/"),
        ("2026-01-31T22:00/2026-02-01T04:00", "write two moments with their time zone"),
        ("2026-01-31T22:00Z/2026-01-31T21:00Z", "ends before it begins"),
    ],
)
def test_a_time_that_makes_no_sense_is_told(scene: Scene, between: str, said: str) -> None:
    with pytest.raises(StrongroomError) as wrong:
        scene.look(("client-address", "127.0.0.1"), between=between)

    assert said in str(wrong.value)


def test_no_log_at_hand_is_told(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(StrongroomError, match=r"client address 127.0.0.1: there is no audit log at hand"):
        scene.look(("client-address", "127.0.0.1"))
    with pytest.raises(StrongroomError, match=r"--audit-log .*/none: there is no such file"):
        scene.look(("client-address", "127.0.0.1"), logs=[tmp_path / "none"])


def test_the_log_tells_which_of_two_roles_alike_gave_a_certificate_out(scene: Scene, log: Path) -> None:
    scene.server.write("sys/mounts/pki", {"type": "pki"})
    scene.server.write("pki/root/generate/internal", {"common_name": "Root", "ttl": "24h"})
    for role in ("web", "twin"):
        scene.server.write(f"pki/roles/{role}", {"allowed_domains": "example.org", "allow_subdomains": True})
    made = {
        role: scene.server.write(f"pki/issue/{role}", {"common_name": f"{role}.example.org", "ttl": "1h"})[
            "serial_number"
        ]
        for role in ("web", "twin")
    }

    with_log = scene.look(("role", "pki/web"), logs=[log])
    without = scene.look(("role", "pki/web"))

    assert with_log.blast is not None
    assert without.blast is not None
    assert [one.id for one in with_log.blast.credentials] == [f"pki:{made['web']}"]
    assert sorted(one.id for one in without.blast.credentials) == sorted(f"pki:{one}" for one in made.values())


def test_the_log_tells_who_read_a_leaked_secret(scene: Scene, log: Path) -> None:
    scene.server.write("sys/mounts/apps", {"type": "kv", "options": {"version": "2"}})
    scene.server.write("sys/policies/acl/reads", {"policy": 'path "apps/*" { capabilities = ["read"] }'})
    scene.approle("payments", token_policies=["reads"])
    thief = scene.server.as_token(scene.login("payments")["client_token"])
    for value in ("a", "b"):
        scene.server.write("apps/data/db", {"data": {"value": value}})
        thief.read("apps/data/db")

    notes = scene.look(("kv", "apps/db"), logs=[log]).scope.notes
    told = next(note for note in notes if "was read" in note)

    assert told.startswith("secrets/apps/db was read 2 times (version 1, 2) by ")
    assert "-auth-approle from 127.0.0.1, the last time at " in told
    assert any(
        "path apps/db was read 2 times" in one for one in scene.look(("path", "apps/db"), logs=[log]).scope.notes
    )


def test_without_a_log_a_child_that_was_made_meanwhile_is_unproven(scene: Scene) -> None:
    scene.server.write("sys/policies/acl/makes", {"policy": MAKES})
    scene.approle("payments", "orders", token_policies=["makes"])
    scene.login("payments")
    honest = scene.server.as_token(scene.login("orders")["client_token"])
    made: list[str] = []

    def meanwhile(*_: object) -> None:
        if not made:
            made.append(str(honest.write("auth/token/create", {"policies": ["default"]})["accessor"]))

    outcome = scene.cut(("role", "auth/approle/payments"), tell=meanwhile)

    said = "by other tokens; whether by one that was cut only an audit log tells: --audit-log FILE"
    assert [(one.title, one.dead, one.said) for one in outcome.proofs if "meanwhile" in one.title] == [
        (f"1 token made meanwhile: {made[0]}", None, said)
    ]
    assert outcome.code == 2
