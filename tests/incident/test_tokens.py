"""Children, orphans, batch tokens and namespaces: what leads back to a leak, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import StrongroomError
from orchestrator.live.server import Denied, Rejected
from tests.incident.scene import Scene
from tests.support import STATIC_ACCOUNT

if TYPE_CHECKING:
    from orchestrator.live.server import Server

pytestmark = pytest.mark.server
MAKER = """\
path "auth/token/create" {
  capabilities = ["update"]
}
path "auth/token/create-orphan" {
  capabilities = ["update", "sudo"]
}
"""
LEAK = ("role", "auth/approle/leak")


def inside(scene: Scene, *names: str) -> Scene:
    """The same scene in a namespace below."""
    server: Server = scene.server
    path = scene.namespace
    for name in names:
        server.write(f"sys/namespaces/{name}", {})
        path = f"{path}/{name}"
        server = scene.server.in_namespace(path)
    return Scene(scene.root, scene.running, path, server)


def made(scene: Scene, parent: str, path: str = "auth/token/create") -> str:
    return str(scene.server.as_token(parent).write(path, {"policies": ["default"], "ttl": "10m"})["client_token"])


def test_children_die_with_their_parent_and_orphans_are_said_to_live(scene: Scene) -> None:
    scene.server.write("sys/policies/acl/maker", {"policy": MAKER})
    scene.approle("leak", token_policies=["maker"])
    parent = scene.login("leak")["client_token"]
    child = made(scene, parent)
    orphan = made(scene, parent, "auth/token/create-orphan")

    outcome = scene.cut(LEAK)

    assert outcome.code == 0
    assert [scene.lives(token) for token in (parent, child, orphan)] == [False, False, True]
    assert "".join(outcome.notes) == (
        "auth/approle/roles/leak: its policy maker may make orphans at auth/token/create-orphan: they outlive their "
        "makers, and only the audit log tells of them"
    )


def test_batch_tokens_are_refused_once_their_entity_is_disabled(scene: Scene) -> None:
    scene.approle("leak", "other", token_type="batch")
    leaked, other = scene.login("leak")["client_token"], scene.login("other")["client_token"]
    before = [scene.lives(leaked), scene.lives(other)]

    outcome = scene.cut(LEAK)

    assert before == [True, True]
    assert [scene.lives(leaked), scene.lives(other)] == [False, True]
    assert "".join(outcome.notes) == (
        "auth/approle/roles/leak gives out batch tokens, which nothing revokes: they are refused once their entity is "
        "disabled"
    )
    with pytest.raises((Denied, Rejected)):
        scene.login("leak")

    scene.undo()

    assert scene.lives(leaked)
    assert scene.login("leak")["client_token"]


def test_a_mount_that_gives_batch_tokens_counts_for_its_roles(scene: Scene) -> None:
    scene.approle("leak")
    scene.server.write("sys/auth/approle/tune", {"token_type": "default-batch"})
    leaked = scene.login("leak")["client_token"]

    scene.cut(LEAK)

    assert leaked.startswith(("b.", "hvb."))
    assert not scene.lives(leaked)


def test_an_entity_of_other_logins_too_stays_enabled(scene: Scene) -> None:
    scene.approle("leak", token_type="batch", token_max_ttl="2h")
    login = scene.login("leak")
    entity = scene.server.read(f"identity/entity/id/{login['entity_id']}") or {}
    scene.server.write("sys/auth/userpass", {"type": "userpass"})
    accessor = (scene.server.read("sys/auth") or {})["userpass/"]["accessor"]
    alias = {"name": "ada", "mount_accessor": accessor, "canonical_id": login["entity_id"]}
    scene.server.write("identity/entity-alias", alias)

    outcome = scene.cut(LEAK)
    name = entity["name"]

    assert scene.lives(login["client_token"])
    assert list(outcome.notes) == [
        (
            f"identity/entities/{name}, by which auth/approle/roles/leak is known, is known by other logins too and "
            f"stays enabled: name it with --entity {name} to cut all of them"
        ),
        (
            "auth/approle/roles/leak gives out batch tokens, which nothing revokes: those that are out live on for up "
            "to 2h; to refuse them at once, name their entities too"
        ),
    ]


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_a_disabled_entity_has_no_tokens_whatever_they_are(scene: Scene, kind: str) -> None:
    scene.approle("leak", "other", token_type=kind)
    login, other = scene.login("leak"), scene.login("other")["client_token"]

    outcome = scene.cut(("entity", login["entity_id"]))

    assert outcome.code == 0
    assert [scene.lives(login["client_token"]), scene.lives(other)] == [False, True]


def test_a_role_is_cut_in_every_namespace_that_has_it(scene: Scene) -> None:
    deep, beside = inside(scene, "team", "deep"), inside(scene, "beside")
    tokens: dict[str, Any] = {}
    for one in (scene, deep):
        one.approle("leak", "other")
        tokens[one.namespace] = [one.login(role)["client_token"] for role in ("leak", "other")]
    beside.approle("other")
    spared = beside.login("other")["client_token"]

    outcome = scene.cut(LEAK, namespace="all")

    assert outcome.code == 0
    assert [[one.lives(token) for token in tokens[one.namespace]] for one in (scene, deep)] == [[False, True]] * 2
    assert beside.lives(spared)


def test_a_role_of_one_namespace_leaves_its_namesake_below(scene: Scene) -> None:
    below = inside(scene, "team")
    for one in (scene, below):
        one.approle("leak")
    kept = below.login("leak")["client_token"]

    scene.cut(LEAK)

    assert below.lives(kept)


def test_a_role_that_no_namespace_has_is_one_mistake(scene: Scene) -> None:
    inside(scene, "team").approle("other")
    scene.approle("other")

    with pytest.raises(StrongroomError) as wrong:
        scene.look(("role", "auth/approle/leak"), namespace="all")

    assert str(wrong.value) == (
        f"role auth/approle/leak: there is none in namespace {scene.namespace}; those on approle are: other; "
        "nor is it in any namespace below"
    )


def test_a_leaked_token_is_found_in_whichever_namespace_it_is_of(scene: Scene) -> None:
    below = inside(scene, "team")
    below.approle("leak")
    leaked, other = below.login("leak")["client_token"], below.login("leak")["client_token"]

    outcome = scene.cut(tokens=(leaked,), namespace="all")

    assert outcome.code == 0
    assert [below.lives(leaked), below.lives(other)] == [False, True]


def test_the_tokens_of_a_group_that_only_a_login_knows_are_not_guessed_at(scene: Scene) -> None:
    if (scene.running.version.split(".") >= ["2", "7"]) and scene.running.server == "openbao":
        pytest.skip("this server has no ldap")
    scene.server.write("sys/auth/ldap", {"type": "ldap"})
    scene.server.write("auth/ldap/groups/engineers", {"policies": ["payments-read"]})

    with pytest.raises(StrongroomError) as wrong:
        scene.look(("role", "auth/ldap/groups/engineers"))

    assert str(wrong.value) == (
        "tokens of auth/ldap/groups/engineers are not told apart: the server does not tell whose tokens came by it: "
        "name its policies with --policy, or all of --mount auth/ldap"
    )


def test_a_password_that_an_object_keeps_is_turned_with_its_mount(scene: Scene) -> None:
    connection = {"plugin_name": "postgresql-database-plugin", "allowed_roles": ["*"], "username": "strongroom"}
    url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{scene.running.postgres}/orders"
    given = {**connection, "connection_url": url, "password": scene.running.postgres_password}
    static = {"db_name": "orders", "username": STATIC_ACCOUNT, "rotation_period": "24h"}
    scene.server.write("sys/mounts/database", {"type": "database"})
    scene.server.write("database/config/orders", given)
    scene.server.write("database/static-roles/owner", static)

    turned = ("secrets/database/static_roles/owner", "password", True)
    for target in (("mount", "database"), ("role", "database/static-roles/owner"), ("role", "database/owner")):
        assert [(one.title, one.what, one.ends) for one in scene.look(target).scope.turns] == [turned]
