"""What leaked is dead afterwards, all else lives, and a leak is named in many ways."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident.ground import Ground
from orchestrator.incident.journal import FILE, Tampered
from orchestrator.incident.look import blast
from orchestrator.incident.model import Scope
from orchestrator.incident.prove import prove
from orchestrator.live.bulk import Line
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


def test_held_back_softly_one_login_an_hour_gets_through(scene: Scene) -> None:
    scene.approle("payments", "orders")
    leaked = scene.login("payments")["client_token"]
    before = scene.server.read("auth/approle/role/payments")

    outcome = scene.cut(("role", "auth/approle/payments"), close="soft")
    logins = [attempt(scene, "payments") for _ in range(3)]

    assert (outcome.code, scene.lives(leaked)) == (0, False)
    assert logins[1:] == [False, False]
    assert [attempt(scene, "orders") for _ in range(3)] == [True] * 3
    assert scene.server.read("auth/approle/role/payments") == before

    assert scene.undo() == ["auth/approle/roles/payments"]
    assert attempt(scene, "payments")


def attempt(scene: Scene, role: str) -> bool:
    body = scene.secret_id(role)
    return scene.status("auth/approle/login", body) == 200


def test_everything_is_cut_but_the_caller(scene: Scene) -> None:
    scene.approle("payments", "orders")
    tokens = [scene.login(role)["client_token"] for role in ("payments", "orders")]

    with pytest.raises(Refused, match="type the environment's name to cut everything in it: leak"):
        scene.look(("everything", "prod"))
    outcome = scene.cut(("everything", "leak"))

    assert outcome.code == 0
    assert [scene.lives(token) for token in tokens] == [False, False]
    assert sorted(outcome.shut) == ["auth/approle/roles/orders", "auth/approle/roles/payments"]
    assert scene.server.list("auth/approle/role") == ("orders", "payments")


def test_the_caller_cannot_cut_the_way_by_which_it_came(scene: Scene) -> None:
    scene.approle("admin", token_policies=["admin"])
    scene.server.write(
        "sys/policies/acl/admin",
        {"policy": 'path "*" { capabilities = ["sudo", "read", "list", "update", "create", "delete"] }'},
    )
    mine = scene.login("admin")["client_token"]
    other = scene.login("admin")["client_token"]

    with pytest.raises(Refused, match="your own token came by auth/approle/roles/admin: come in by another way"):
        scene.look(("role", "auth/approle/admin"), token=mine)
    outcome = scene.cut(("policy", "admin"), token=mine, close="none")

    assert (scene.lives(mine), scene.lives(other)) == (True, False)
    assert outcome.code == 0


def test_a_broken_configuration_does_not_stop_it(scene: Scene) -> None:
    scene.approle("payments")
    token = scene.login("payments")["client_token"]
    (scene.root / "vault-config/environments/leak.yaml").write_text("environment: [")

    outcome = scene.cut(("role", "auth/approle/payments"), namespace=scene.namespace)

    assert (outcome.code, scene.lives(token)) == (0, False)
    assert "the configuration is not valid, so owners are not known" in str(scene.shown[-1].problems)


def test_what_a_scanner_found_is_cut_by_what_it_is(scene: Scene) -> None:
    scene.approle("payments", "orders")
    leaked = scene.login("payments")["client_token"]
    secret_id = scene.secret_id("orders")["secret_id"]
    after = scene.login("orders")["client_token"]
    dead = scene.token("default")
    scene.server.as_token(dead).write("auth/token/revoke-self", {})
    report = scene.root / "gitleaks.json"
    lines = [("a.env", f"VAULT_TOKEN={leaked}"), ("b.env", f"SECRET_ID={secret_id}"), ("c.env", f"TOKEN={dead}")]
    found = [{"RuleID": "x", "File": file, "StartLine": 3, "Secret": text, "Match": text} for file, text in lines]
    report.write_text(json.dumps(found))

    outcome = scene.cut(findings=[report])

    assert [scene.lives(token) for token in (leaked, after)] == [False, False]
    assert len(scene.server.list("auth/approle/role/orders/secret-id")) == 1
    assert any(note.startswith("token at c.env:3: the server does not know it") for note in outcome.notes)
    assert all(value not in repr(outcome) for value in (leaked, secret_id, dead))
    for file in scene.folder.iterdir():
        assert all(value not in file.read_text() for value in (leaked, secret_id, dead))


DENIED = """
path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
path "auth/approle/role/payments/secret-id/lookup" { capabilities = ["deny"] }
path "auth/approle/role/payments/secret-id-accessor/lookup" { capabilities = ["deny"] }
"""


def test_a_secret_id_that_we_may_not_look_for_is_not_said_to_be_gone(scene: Scene) -> None:
    scene.approle("payments")
    scene.server.write("sys/policies/acl/denied", {"policy": DENIED})
    token = scene.token("denied")
    text = f"SECRET_ID={scene.secret_id('payments')['secret_id']}"
    report = scene.root / "gitleaks.json"
    report.write_text(json.dumps([{"RuleID": "x", "File": "b.env", "StartLine": 3, "Secret": text, "Match": text}]))

    with pytest.raises(StrongroomError, match=r"secret-id-accessor/lookup: .*permission denied"):
        scene.look(("secret-id-accessor", "00000000-0000-0000-0000-000000000000"), token=token)
    with pytest.raises(StrongroomError, match=r"secret-id/lookup: .*permission denied"):
        scene.look(findings=[report], token=token)


def test_a_shut_role_is_tried_with_a_new_secret_id(scene: Scene) -> None:
    scene.approle("payments", "orders")
    scene.login("payments")

    shut = scene.cut(("role", "auth/approle/payments"))
    scene.login("orders")
    left = scene.cut(("role", "auth/approle/orders"), close="none")

    said = "refused, with a new SecretID of our own: its address is in none that may log in"
    assert [(one.title, one.dead, one.said) for one in shut.proofs if one.what == "login"] == [
        ("login at auth/approle as payments", True, said)
    ]
    assert [one for one in left.proofs if one.title == "login at auth/approle as orders"] == []
    assert scene.server.list("auth/approle/role/payments/secret-id") == ()


def test_a_leaked_token_is_tried_where_it_belongs(scene: Scene) -> None:
    below = scene.server.in_namespace(f"{scene.namespace}/below")
    scene.server.write("sys/namespaces/below", {})
    token = below.write("auth/token/create", {"policies": ["default"], "no_parent": True})["client_token"]

    outcome = scene.cut(tokens=[token], namespace=f"{scene.namespace}/below")

    assert [one.said for one in outcome.proofs if "thief" in one.said] == [
        "tried as its thief would: permission denied"
    ]
    assert outcome.code == 0


def test_break_glass_works_with_a_broken_configuration(scene: Scene) -> None:
    scene.approle("payments")
    token = scene.login("payments")["client_token"]
    (scene.root / "vault-config/environments/leak.yaml").write_text("environment: [")

    outcome = scene.cut(("everything", "leak"), namespace=scene.namespace)

    assert not scene.lives(token)
    assert "this server makes no new root token without a token: keep yours till somebody can log in again" in (
        outcome.notes
    )


def test_a_shut_role_that_takes_no_secret_id_is_tried_with_its_role_id(scene: Scene) -> None:
    scene.approle("payments", bind_secret_id=False, token_bound_cidrs=["127.0.0.0/8"])
    role_id = (scene.server.read("auth/approle/role/payments/role-id") or {})["role_id"]
    token = scene.server.as_token("").write("auth/approle/login", {"role_id": role_id})["client_token"]

    outcome = scene.cut(("role", "auth/approle/payments"))

    assert (outcome.code, scene.lives(token)) == (0, False)
    assert [(one.title, one.dead) for one in outcome.proofs if one.what == "login"] == [
        ("login at auth/approle as payments", True)
    ]


def test_what_nobody_can_look_at_is_cut_and_not_passed_over(scene: Scene) -> None:
    token = scene.server.write("auth/token/create", {"policies": ["default"], "no_parent": True})
    scene.server.write(
        "sys/policies/acl/blind", {"policy": 'path "auth/token/revoke-accessor" { capabilities = ["update"] }'}
    )
    blind = Line(scene.server.address, scene.token("blind"))
    ground = Ground(scene.server, blind, {})
    single = ground.token(str(token["accessor"]), "a leak", {})

    assert blast(ground, Scope(singles=(single,))).credentials == (single,)
    assert blast(ground, Scope(singles=(single,)), revoked=True).credentials == ()
    assert [one.dead for one in prove(ground, [single], {})] == [None]


def test_nothing_is_opened_while_another_journal_cannot_be_read(scene: Scene) -> None:
    scene.approle("payments")
    other = scene.folder.with_name("INC-8") / FILE
    other.parent.mkdir(parents=True)
    other.write_text("not a line\n")
    scene.cut(("role", "auth/approle/payments"))

    with pytest.raises(Tampered, match=r"INC-8/journal\.jsonl:1: this is no line of a journal"):
        scene.undo()

    assert (scene.server.read("auth/approle/role/payments") or {})["secret_id_bound_cidrs"] == ["255.255.255.255/32"]
