"""What was cut is replaced: wrapped, by the owner's hook, and once; the rest is told with its owner."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import Refused
from orchestrator.incident.journal import FILE, read
from orchestrator.incident.reissue import ByHand
from orchestrator.incident.show.revocation import outcome_document, show_outcome
from orchestrator.live.approle import Issued
from tests.incident.databases import House
from tests.incident.scene import Scene
from tests.incident.test_resume import killed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.incident.reissue import Reissued
    from orchestrator.incident.run import Outcome
    from orchestrator.local.stack import Stack

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]
ROLE = "auth/approle/roles/payments"
CUT = ("agreed", "closing", "closed", "found", "revoking", "revoked", "looked again", "cut", "proved")
STEPS = ("reissuing", "reopened", "issuing", "issued", "calling", "called", "reissued", "finished")
HOOK = """\
import json, os, pathlib, sys
seen = {"stdin": sys.stdin.read(), "argv": sys.argv[1:], "environ": dict(os.environ)}
calls = pathlib.Path(sys.argv[1])
calls.write_text((calls.read_text() if calls.exists() else "") + json.dumps(seen) + "\\n")
print("canary-said-7f3b")
sys.exit(pathlib.Path(sys.argv[2]).exists())
"""


@dataclass
class Owner:
    """Somebody whose hook writes down what it was called with, and fails while a file stands in its way."""

    root: Path

    @property
    def command(self) -> list[str]:
        (self.root / "hook.py").write_text(HOOK)
        return [sys.executable, str(self.root / "hook.py"), str(self.root / "calls"), str(self.obstacle)]

    @property
    def obstacle(self) -> Path:
        return self.root / "obstacle"

    @property
    def calls(self) -> list[dict[str, Any]]:
        path = self.root / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def approle(stack: Stack, root: Path, hooks: dict[str, Any], **other: Any) -> Scene:  # noqa: ANN401 - more of the document
    """Two roles that live as the YAML declares them."""
    roles = {name: {"token_ttl": "1h", "secret_id_num_uses": 0} for name in ("payments", "orders")}
    document = {"auth": {"approle": {"type": "approle", "roles": roles}}, "on_revoke": hooks, **other}
    scene = Scene.on(stack, root, document)
    scene.approle("payments", "orders")
    return scene


@pytest.fixture
def house(stack: Stack, tmp_path: Path) -> Iterator[House]:
    with closing(House.on(stack, tmp_path)) as found:
        found.mount()
        yield found


def replaced(outcome: Outcome) -> Reissued:
    assert outcome.reissued is not None
    return outcome.reissued


def unwrapped(scene: Scene, token: str) -> dict[str, Any]:
    return dict(scene.server.as_token(token).write("sys/wrapping/unwrap", {}))


def login(scene: Scene, token: str) -> str:
    """A login with the SecretID that a wrapping token holds."""
    known = scene.server.read("auth/approle/role/payments/role-id") or {}
    body = {"role_id": known["role_id"], "secret_id": unwrapped(scene, token)["secret_id"]}
    return str(scene.server.as_token("").write("auth/approle/login", body)["client_token"])


def everything_kept(scene: Scene) -> str:
    return "".join(path.read_text() for path in scene.folder.iterdir())


def test_a_new_secret_id_goes_out_wrapped_to_the_hook_alone(
    stack: Stack, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    owner = Owner(tmp_path)
    scene = approle(stack, tmp_path, {ROLE: owner.command})
    leaked, other = scene.login("payments")["client_token"], scene.login("orders")["client_token"]

    outcome = scene.cut(("role", "auth/approle/payments"), reissue=True)

    assert (outcome.code, scene.lives(leaked), scene.lives(other)) == (0, False, True)
    found = replaced(outcome)
    assert (found.opened, [(one.title, one.code) for one in found.called], found.handed) == ((ROLE,), [(ROLE, 0)], ())
    assert found.by_hand == ()
    [call] = owner.calls
    token = call["stdin"]
    assert call["environ"]["STRONGROOM_INCIDENT"] == "INC-7"
    assert call["environ"]["STRONGROOM_OBJECT"] == ROLE
    assert "VAULT_TOKEN" not in call["environ"]
    assert token not in json.dumps([call["argv"], call["environ"]])
    assert token not in everything_kept(scene)
    assert scene.lives(login(scene, token))
    said = capfd.readouterr()
    assert ("canary-said-7f3b" in said.err, "canary-said-7f3b" in said.out) == (True, False)
    assert "canary-said-7f3b" not in everything_kept(scene)


def test_without_a_hook_it_goes_to_the_answer(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = approle(stack, tmp_path, {})
    scene.login("payments")

    outcome = scene.cut(("role", "auth/approle/payments"), reissue=True)

    [new] = replaced(outcome).handed
    assert (new.title, new.what) == (ROLE, "SecretID")
    assert isinstance(new.issued, Issued)
    assert new.issued.token not in repr(outcome)
    assert new.issued.token not in everything_kept(scene)
    [line] = [one for one in read(scene.folder / FILE) if one.what == "issued"]
    assert line.data["accessor"] == new.issued.accessor
    show_outcome(outcome)
    said = capsys.readouterr()
    assert new.issued.token in said.out.splitlines()
    assert new.issued.token not in said.err
    assert outcome_document(outcome)["reissued"]["handed"][0]["wrapping_token"] == new.issued.token
    assert scene.lives(login(scene, new.issued.token))


def test_a_second_run_replaces_nothing_twice_and_cuts_nothing_new(stack: Stack, tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    scene = approle(stack, tmp_path, {ROLE: owner.command})
    scene.login("payments")
    scene.cut(("role", "auth/approle/payments"), reissue=True)
    fresh = login(scene, owner.calls[0]["stdin"])

    again = scene.resume()

    assert (again.code, len(owner.calls), scene.lives(fresh)) == (0, 1, True)
    assert (replaced(again).opened, replaced(again).called, replaced(again).handed) == ((), (), ())
    with pytest.raises(Refused) as refused:
        scene.cut(("role", "auth/approle/payments"))
    assert str(refused.value) == (
        "INC-7 is cut, and what leaked is being replaced: invoke incident.resume goes on with that; give a new leak a "
        "name of its own"
    )
    assert scene.lives(fresh)


def test_a_hook_that_fails_is_told_with_its_owner_and_called_again(stack: Stack, tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    owner.obstacle.touch()
    scene = approle(stack, tmp_path, {ROLE: owner.command})
    scene.login("payments")

    first = replaced(scene.cut(("role", "auth/approle/payments"), reissue=True))

    assert (
        ByHand(ROLE, "tests", "its hook failed: it ended with status 1; do by hand what it does, or resume")
        in first.by_hand
    )
    assert not scene.lives(owner.calls[0]["stdin"]), "what nobody took is taken back"

    owner.obstacle.unlink()
    second = replaced(scene.resume())

    assert ([one.code for one in second.called], second.by_hand, len(owner.calls)) == ([0], (), 2)
    assert scene.lives(login(scene, owner.calls[1]["stdin"]))


def test_a_program_that_is_not_there_is_told(stack: Stack, tmp_path: Path) -> None:
    scene = approle(stack, tmp_path, {ROLE: ["./nowhere"]})
    scene.login("payments")

    found = replaced(scene.cut(("role", "auth/approle/payments"), reissue=True))

    what = "its hook failed: it cannot be run: No such file or directory; do by hand what it does, or resume"
    assert ByHand(ROLE, "tests", what) in found.by_hand


def test_what_a_thief_still_opens_stays_shut(stack: Stack, tmp_path: Path) -> None:
    scene = approle(stack, tmp_path, {})
    entity = scene.login("payments")["entity_id"]
    name = (scene.server.read(f"identity/entity/id/{entity}") or {})["name"]

    found = replaced(scene.cut(("entity", name), reissue=True))

    title, nobody = f"identity/entities/{name}", "nobody declared it"
    stays = "stays shut, as a thief may still have what opens it: replace that, then invoke incident.undo-close"
    assert found.opened == ()
    assert found.by_hand == (
        ByHand(title, nobody, stays),
        ByHand(title, nobody, "1 token was cut: whoever used it needs a new one"),
    )
    assert (scene.server.read(f"identity/entity/id/{entity}") or {})["disabled"] is True


def test_nothing_is_replaced_while_something_lives(house: House) -> None:
    role = house.role("-read", revocation_statements=["SELECT 1"])
    house.leased(role)

    outcome = house.scene.cut(("database-role", f"db/{role}"), reissue=True)

    assert (outcome.code, outcome.reissued) == (1, None)
    assert (
        outcome.notes[-1] == "nothing is replaced while something of the leak lives: end that, then resume the incident"
    )
    assert (house.scene.server.read(f"db/roles/{role}") or {})["creation_statements"] == []


def test_a_database_role_serves_again_and_its_users_are_told(house: House) -> None:
    role, static = house.role("-read"), house.static("owner")
    house.leased(role)

    found = replaced(house.scene.cut(("database-role", f"db/{role}"), ("database-role", f"db/{static}"), reissue=True))

    assert found.opened == (f"secrets/db/roles/{role}",)
    assert found.by_hand == (
        ByHand(f"secrets/db/roles/{role}", "nobody declared it", "1 account was cut: whoever used it needs a new one"),
        ByHand(
            f"secrets/db/static_roles/{static}",
            "nobody declared it",
            "its password is another: whoever uses it must fetch that",
        ),
    )
    assert house.leased(role).is_connected()


@pytest.mark.parametrize("line", range(len(CUT) + 1, len(CUT) + len(STEPS) + 1))
def test_killed_at_each_line_it_is_replaced_once(stack: Stack, tmp_path: Path, line: int) -> None:
    owner = Owner(tmp_path)
    scene = approle(stack, tmp_path, {ROLE: owner.command})
    leaked, other = scene.login("payments")["client_token"], scene.login("orders")["client_token"]

    assert killed(scene, line, reissue=True) == -signal.SIGKILL
    assert tuple(one.what for one in read(scene.folder / FILE)) == (*CUT, *STEPS)[:line]

    found = replaced(scene.resume())

    assert (found.by_hand, found.handed, len(owner.calls)) == ((), (), 1)
    assert [scene.lives(token) for token in (leaked, other)] == [False, True]
    assert scene.lives(login(scene, owner.calls[0]["stdin"]))
