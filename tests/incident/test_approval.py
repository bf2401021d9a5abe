"""Where the environment asks for two people, one alone cuts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from orchestrator.commands.check import incident_rights
from orchestrator.errors import Refused
from orchestrator.incident.journal import FILE, read
from tests.incident.scene import NAME, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]


@dataclass(frozen=True)
class People:
    scene: Scene
    leaked: str
    tokens: dict[str, str]

    def cut(self, first: str, second: str) -> object:
        return self.scene.cut(("role", "auth/approle/payments"), token=self.tokens[first], approve=lambda: second)


@pytest.fixture
def people(stack: Stack, tmp_path: Path) -> People:
    scene = Scene.on(stack, tmp_path, {"approvals": 2, "auth": {"approle": {"type": "approle"}}})
    scene.approle("payments")
    scene.server.write("sys/policies/acl/on-call", {"policy": incident_rights(tmp_path, NAME)})
    scene.server.write("sys/auth/people", {"type": "userpass"})
    for name, policies in {"ada": ["on-call"], "grace": ["on-call"], "guest": []}.items():
        scene.server.write(f"auth/people/users/{name}", {"password": "x", "token_policies": policies})
    nobody = scene.server.as_token("")
    tokens = {
        name: str(nobody.write(f"auth/people/login/{name}", {"password": "x"})["client_token"])
        for name in ("ada", "grace", "guest")
    }
    return People(scene, scene.login("payments")["client_token"], tokens)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("", "this environment asks for two people: a second one gives a token of their own, --approve prompt"),
        ("ada", "--approve: the second token is of the same entity as yours: it takes another person"),
        ("guest", "--approve: the second person may not revoke either: give them the rights that invoke rights"),
        (
            "s.0123456789abcdefghijklmn",
            "--approve: the second token is refused: it expired, was revoked, or is another",
        ),
    ],
)
def test_one_person_alone_cuts_nothing(people: People, second: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        people.cut("ada", people.tokens.get(second, second))

    assert str(refused.value).startswith(why)
    assert people.scene.lives(people.leaked)
    assert not (people.scene.folder / FILE).exists()


def test_a_token_that_is_nobodys_approves_nothing(people: People) -> None:
    with pytest.raises(Refused, match="a token without an entity is nobody's: both people log in by themselves"):
        people.cut("ada", people.scene.token("on-call"))


def test_two_people_cut_it_and_the_journal_names_both(people: People) -> None:
    people.cut("ada", people.tokens["grace"])
    agreed = next(line for line in read(people.scene.folder / FILE) if line.what == "agreed")

    assert not people.scene.lives(people.leaked)
    assert "people-grace, entity " in agreed.data["approved_by"]
    assert people.tokens["grace"] not in (people.scene.folder / FILE).read_text()
