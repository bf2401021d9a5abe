"""What an adversary tried: names that mean something else, tokens that hang on other tokens, two incidents at once."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from orchestrator.commands import incident
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import command_line
from orchestrator.incident.model import Gone
from orchestrator.incident.show.revocation import preview_document
from orchestrator.live.server import Denied, Rejected
from tests.incident.scene import NAME
from tests.incident.test_resume import killed
from tests.incident.test_traces import MAKES, log
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.incident.scene import Scene

__all__ = ["log"]  # a fixture
pytestmark = pytest.mark.server
READS = 'path "x" { capabilities = ["read"] }'
ALL = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'


def test_a_policy_is_known_in_any_case(scene: Scene) -> None:
    scene.server.write("sys/policies/acl/payments", {"policy": READS})
    leaked = scene.token("payments")

    outcome = scene.cut(("policy", "Payments"))

    assert (outcome.code, outcome.cut.ended, scene.lives(leaked)) == (0, 1, False)


@pytest.mark.parametrize("value", ["/payments", " payments", "payments/", "auth/../payments"])
def test_a_policy_that_only_the_server_takes_for_another_is_none(scene: Scene, value: str) -> None:
    scene.server.write("sys/policies/acl/payments", {"policy": READS})

    with pytest.raises(Gone) as told:
        scene.look(("policy", value))

    assert str(told.value) == f"policy {value}: there is none; the policies are: default, payments"


@pytest.mark.parametrize("value", ["/", ".", "auth", "auth/", "auth//approle", "Auth/approle", "databse/creds"])
def test_a_lease_prefix_without_a_mount_is_a_mistake(scene: Scene, value: str) -> None:
    scene.approle("payments")
    scene.login("payments")

    with pytest.raises(Gone) as told:
        scene.look(("lease-prefix", value))

    assert str(told.value).startswith(
        f"lease prefix {value}: it begins with no mount in namespace {scene.namespace}; the mounts are: auth/approle, "
    )


@pytest.mark.parametrize("line", [1, 3])
def test_a_role_that_went_before_it_was_looked_at_is_not_proven_dead(scene: Scene, line: int) -> None:
    scene.approle("payments")
    leaked = scene.login("payments")["client_token"]
    killed(scene, line)
    scene.server.delete("auth/approle/role/payments")

    outcome = scene.resume()

    assert (outcome.code, scene.lives(leaked)) == (2, True)
    assert [one.title for one in outcome.proofs] == [f"role auth/approle/payments in namespace {scene.namespace}"]


def test_a_lookup_that_is_denied_is_not_a_secret_id_that_is_gone(scene: Scene) -> None:
    scene.approle("payments")
    made = scene.server.write("auth/approle/role/payments/secret-id", {})
    denied = 'path "auth/approle/role/+/secret-id-accessor/lookup" { capabilities = ["deny"] }'
    scene.server.write("sys/policies/acl/op", {"policy": f"{ALL}\n{denied}"})

    with pytest.raises(StrongroomError) as told:
        scene.revoke(("secret-id-accessor", str(made["secret_id_accessor"])), token=scene.token("op"))

    assert str(told.value) == (
        "auth/approle/role/payments/secret-id-accessor/lookup: 1 error occurred: * permission denied (status 403)"
    )


def test_batch_tokens_that_may_live_are_unproven(scene: Scene) -> None:
    scene.approle("payments", token_type="batch")
    scene.approle(mount="other")
    login = scene.login("payments")
    mounts = scene.server.read("sys/auth") or {}
    alias = {"name": "app", "mount_accessor": mounts["other/"]["accessor"], "canonical_id": login["entity_id"]}
    scene.server.write("identity/entity-alias", alias)

    outcome = scene.cut(("role", "auth/approle/payments"))

    assert (outcome.code, scene.lives(login["client_token"])) == (2, True)
    assert [one.title for one in outcome.proofs if one.dead is None] == ["batch tokens by auth/approle/roles/payments"]


@pytest.mark.parametrize("sort", ["role", "accessor", "policy"])
def test_what_may_be_our_own_parent_is_not_cut(scene: Scene, sort: str) -> None:
    scene.server.write("sys/policies/acl/op", {"policy": ALL})
    scene.approle("payments", token_policies=["op"])
    parent = scene.login("payments")
    child = scene.server.as_token(parent["client_token"]).write("auth/token/create", {"policies": ["op"]})
    leaked = {"role": "auth/approle/payments", "accessor": parent["accessor"], "policy": "op"}[sort]

    with pytest.raises(Refused) as told:
        scene.revoke((sort, leaked), token=child["client_token"], close="none")

    assert str(told.value) == (
        "your own token has a parent, and it may be one that would be cut, with which yours would die: "
        f"{parent['accessor']}; come in by a login, or with an orphan"
    )
    assert scene.lives(parent["client_token"])


def test_a_child_of_another_entity_may_cut(scene: Scene) -> None:
    scene.server.write("sys/policies/acl/op", {"policy": ALL})
    scene.approle("payments")
    leaked = scene.login("payments")["client_token"]
    child = scene.server.as_token(scene.token("op")).write("auth/token/create", {"policies": ["op"]})

    assert scene.cut(("role", "auth/approle/payments"), token=child["client_token"]).code == 0
    assert not scene.lives(leaked)


def test_an_orphan_dies_with_the_leaked_token_that_made_it(scene: Scene, log: Path) -> None:
    scene.server.write("sys/policies/acl/makes", {"policy": MAKES})
    thief = scene.token("makes")
    made = scene.server.as_token(thief).write("auth/token/create-orphan", {"policies": ["default"]})["client_token"]
    other = scene.token("default")

    outcome = scene.revoke(tokens=[thief], logs=[log])

    assert [scene.lives(token) for token in (thief, made, other)] == [False, False, True]
    assert (outcome.code, outcome.notes) == (0, ())


def test_a_leaked_token_of_a_namespace_above_is_cut_there(scene: Scene) -> None:
    top = scene.server.in_namespace("")
    leaked = str(top.write("auth/token/create", {"policies": ["default"], "ttl": "5m"})["client_token"])

    assert scene.revoke(tokens=[leaked]).code == 0
    assert not scene.lives(leaked)


@pytest.mark.parametrize("names", [("INC-7", "INC-8"), ("INC-8", "INC-7")])
def test_what_two_incidents_shut_opens_with_the_last_and_as_it_was(scene: Scene, names: tuple[str, str]) -> None:
    scene.approle("payments", token_bound_cidrs=["10.0.0.0/8"])
    path = "auth/approle/role/payments"
    first = scene.server.read(path) or {}
    for name in ("INC-7", "INC-8"):
        asked = incident.Asked(name, [("role", "auth/approle/payments")])
        incident.revoke(scene.root, NAME, scene.environ, asked, scene.shown.append, lambda *_: None)
    shut = scene.server.read(path) or {}

    opened = [incident.undo_close(scene.root, NAME, scene.environ, names[0])]
    then = scene.server.read(path) or {}
    opened.append(incident.undo_close(scene.root, NAME, scene.environ, names[1]))
    last = scene.server.read(path) or {}

    assert opened == [[], ["auth/approle/roles/payments"]]
    assert (then, last["token_bound_cidrs"]) == (shut, first["token_bound_cidrs"])
    assert not last["secret_id_bound_cidrs"]


@pytest.mark.parametrize("sort", ["accessor", "role", "entity"])
def test_neither_nothing_nor_a_secret_is_a_name(scene: Scene, sort: str) -> None:
    token = scene.token("default")

    with pytest.raises(StrongroomError) as told:
        scene.look((sort, " "))
    assert str(told.value) == f"--{sort}: no name stands behind it"
    with pytest.raises(StrongroomError) as told:
        scene.look((sort, token))
    assert str(told.value) == f"--{sort}: this is a token itself; hand it in with --token, and make a new one"


def test_a_name_longer_than_a_folder_s_is_told_before_anything_is_done(scene: Scene) -> None:
    with pytest.raises(StrongroomError) as told:
        incident.revoke(scene.root, NAME, scene.environ, incident.Asked("ä" * 51), scene.shown.append, lambda *_: None)

    assert str(told.value) == "--incident ääääääääääää..: 100 letters at most, such as INC-7"


@pytest.mark.parametrize("said", ["abc", "", "-5", "nan", "inf"])
def test_a_rate_that_is_none_is_told(said: str) -> None:
    with pytest.raises(StrongroomError) as told:
        command_line.rate(said)

    assert str(told.value) == f"--max-rate {said}: write how many requests a second, such as 50"


@pytest.mark.parametrize(("way", "said"), [("prompt", "there is no terminal to type it on"), ("-", "stdin is closed")])
def test_nobody_there_to_tell_the_token_is_told(way: str, said: str) -> None:
    code = f"import sys; from tests.incident.test_adversary import ways; ways({way!r})"
    closed = f"exec <&-; exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"

    done = subprocess.run(
        ["/bin/sh", "-c", closed],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"--token {way}: {said}\n"


def ways(way: str) -> None:
    """What is said where a token cannot be read."""
    try:
        command_line.tokens([way])
    except StrongroomError as error:
        sys.stdout.write(f"{error}\n")


def test_the_way_by_which_the_caller_came_is_known_in_a_namespace_above(scene: Scene) -> None:
    scene.server.write("sys/policies/acl/op", {"policy": ALL})
    scene.approle("op", token_policies=["op"])
    scene.server.write("sys/namespaces/sub", {})
    environment = scene.root / f"vault-config/environments/{NAME}.yaml"
    environment.write_text(environment.read_text().replace(scene.namespace, f"{scene.namespace}/sub"))
    mine = scene.login("op")["client_token"]

    with pytest.raises(Refused) as told:
        scene.revoke(("role", "auth/approle/op"), namespace=scene.namespace, token=mine, dry_run=True)

    assert str(told.value) == ("your own token came by auth/approle/roles/op: come in by another way to cut that one")


def test_another_time_is_another_digest(scene: Scene, log: Path) -> None:
    times = ("", "2026-01-01T00:00Z/2026-01-02T00:00Z", "2026-01-01T00:00Z/2026-01-03T00:00Z")
    looks = [scene.look(("client-address", "127.0.0.1"), logs=[log], between=one) for one in times]

    assert len({one.digest for one in looks}) == len(times)


@pytest.mark.parametrize("renewable", [True, False])
def test_a_token_shorter_than_the_look_is_renewed_or_named_as_the_reason(scene: Scene, renewable: bool) -> None:  # noqa: FBT001
    scene.server.write("sys/policies/acl/op", {"policy": ALL})
    scene.approle("payments")
    leaked = [scene.login("payments")["client_token"] for _ in range(4)]
    mine = scene.token("op", ttl="2s", renewable=renewable)
    shown = scene.look(("role", "auth/approle/payments")).digest

    if renewable:
        assert scene.cut(("role", "auth/approle/payments"), token=mine, yes=shown, rate=3).code == 0
        assert [scene.lives(one) for one in leaked] == [False] * 4
    else:
        with pytest.raises(StrongroomError) as told:
            scene.cut(("role", "auth/approle/payments"), token=mine, yes=shown, rate=3)
        assert str(told.value) == (
            "your own token ended on the way: get a new one, and invoke incident.resume INC-7 goes on"
        )


def test_nothing_alive_is_told_as_nothing_and_not_as_unseen(scene: Scene) -> None:
    scene.approle("payments")

    told = preview_document(scene.look(("role", "auth/approle/payments")))

    assert (told["alive"], told["tokens_looked_at"], told["requests"]) == ([], 0, 2)


def test_what_somebody_wrote_since_is_not_undone(scene: Scene) -> None:
    path, tighter = "sys/policies/acl/payments", {"policy": 'path "y" { capabilities = ["read"] }'}
    scene.server.write(path, {"policy": READS})
    scene.cut(("policy", "payments"))
    scene.server.write(path, tighter)

    scene.undo()

    assert (scene.server.read(path) or {})["policy"] == tighter["policy"]
    assert scene.undo() == []


def test_a_thief_who_makes_children_all_the_while_is_cut(scene: Scene, log: Path) -> None:
    makes = 'path "auth/token/create" { capabilities = ["update"] }'
    scene.server.write("sys/policies/acl/makes", {"policy": makes})
    scene.approle("payments", token_policies=["makes"])
    made, enough, over = [str(scene.login("payments")["client_token"])], threading.Event(), threading.Event()

    def steal() -> None:
        while not over.is_set():
            with suppress(Denied, Rejected):
                child = scene.server.as_token(made[-1]).write("auth/token/create", {"policies": ["makes"]})
                made.append(str(child["client_token"]))
            if len(made) > 100:
                enough.set()

    thief = threading.Thread(target=steal)
    thief.start()
    try:
        assert enough.wait(60)
        outcome = scene.cut(("role", "auth/approle/payments"), logs=[log])
    finally:
        over.set()
        thief.join()

    assert [one for one in outcome.proofs if not one.dead] == []
    assert (outcome.code, outcome.cut.left) == (0, {})
    assert [one for one in made if scene.lives(one)] == []
