"""People and groups by their names, from the YAML to the server and back."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.errors import Refused
from orchestrator.live.drift import PRESENT, UNDECLARED, Drift
from orchestrator.terraform.plan import Setting
from orchestrator.terraform.provider.api import Api
from tests.support import no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("namespaces")]

NAME = "people"
QUIET = Asked(verify=False)
ADA = {"policies": ["payments-read"], "metadata": {"team": "pay"}}
IDENTITY: dict[str, Any] = {
    "entities": {"ada": {"policies": ["payments-read"]}, "grace": {}},
    "entity_aliases": {"ada-by-password": {"entity": "ada", "mount": "people", "name": "ada"}},
    "groups": {
        "payments": {"member_entities": ["ada"]},
        "engineers": {"member_entities": ["grace"], "member_groups": ["payments"]},
    },
}


class People:
    """An environment in a namespace of its own."""

    def __init__(self, root: Path, stack: Stack, api: Api) -> None:
        self.root, self.stack, self.api = root, stack, api
        self.environ: dict[str, str] = {}

    def declare(self, identity_oidc: dict[str, Any] | None = None, **changed: dict[str, Any]) -> None:
        identity = {**IDENTITY, **changed}
        auth = {"people": {"type": "userpass", "users": {"ada": {"password": "env:ADA_PASSWORD"}}}}
        document: dict[str, Any] = {"namespace": self.api.namespace, "auth": auth, "identity": identity}
        document |= {"identity_oidc": identity_oidc} if identity_oidc else {}
        self.environ = project(self.root, self.stack, NAME, document)

    def apply(self, asked: Asked = QUIET) -> None:
        done = apply(self.root, NAME, self.environ, no_progress, no_question, asked)

        assert done.pending == ()

    def changes(self) -> list[tuple[str, str, tuple[Setting, ...]]]:
        found = plan(self.root, NAME, self.environ, no_progress, None).changes
        return [(one.title, one.action, one.settings) for one in found]

    def drift(self) -> tuple[Drift, ...]:
        return drift(self.root, NAME, self.environ).drifts


@pytest.fixture
def people(stack: Stack, api: Api, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[People]:
    namespace = request.node.name[5:25].strip("_")
    api.call("POST", f"sys/namespaces/{namespace}", {})
    inside = Api(stack.address, stack.token, namespace)
    yield People(tmp_path, stack, inside)
    inside.close()


def test_a_login_is_who_the_yaml_says_and_in_the_groups_of_the_yaml(people: People) -> None:
    people.declare()
    people.apply()
    people.api.call("POST", "auth/people/login/ada", {"password": people.environ["ADA_PASSWORD"]})
    entity = people.api.read("identity/entity/name/ada") or {}
    groups = [people.api.read(f"identity/group/name/{name}") or {} for name in ("payments", "engineers")]

    assert sorted(people.api.call("LIST", "identity/entity/name", None)["keys"]) == ["ada", "grace"]
    assert entity["direct_group_ids"] == [groups[0]["id"]]
    assert entity["inherited_group_ids"] == [groups[1]["id"]]


def test_somebody_who_logged_in_before_is_recognised(people: People) -> None:
    """The login made an entity without a name of ours; the declared one takes the alias over."""
    people.declare(entities={}, entity_aliases={}, groups={})
    people.apply()
    people.api.call("POST", "auth/people/login/ada", {"password": people.environ["ADA_PASSWORD"]})
    people.declare()
    people.apply()

    assert people.drift() == ()
    assert [one["name"] for one in (people.api.read("identity/entity/name/ada") or {})["aliases"]] == ["ada"]


def test_plan_and_drift_speak_of_names(people: People) -> None:
    people.declare()
    people.apply()
    group = people.api.read("identity/group/name/payments") or {}
    grace = people.api.read("identity/entity/name/grace") or {}
    people.api.call("POST", f"identity/group/id/{group['id']}", {"member_entity_ids": [grace["id"]]})
    people.api.call("POST", "identity/entity", {"name": "stranger"})

    assert people.changes() == [
        ("identity/groups/payments", "update", (Setting("member_entities", ["grace"], ["ada"]),))
    ]
    assert people.drift() == (
        Drift("identity/groups/payments", "member_entities", ["ada"], ["grace"]),
        Drift("identity/entities/stranger", "", UNDECLARED, PRESENT),
    )


def test_somebody_new_joins_those_who_are_there(people: People) -> None:
    people.declare()
    people.apply()
    people.declare(
        entities={**IDENTITY["entities"], "eve": {}},
        groups={**IDENTITY["groups"], "payments": {"member_entities": ["ada", "eve"]}},
    )

    assert [(title, action) for title, action, _ in people.changes()] == [
        ("identity/entities/eve", "create"),
        ("identity/groups/payments", "update"),
    ]

    people.apply()

    assert people.drift() == ()


def test_a_group_that_was_emptied_by_hand_is_filled_again(people: People) -> None:
    people.declare()
    people.apply()
    for name, empty in (("payments", "member_entity_ids"), ("engineers", "member_group_ids")):
        group = people.api.read(f"identity/group/name/{name}") or {}
        people.api.call("POST", f"identity/group/id/{group['id']}", {empty: []})

    assert len(people.drift()) == 2

    people.apply()

    assert people.drift() == ()


def test_who_gets_another_name_keeps_the_login(people: People) -> None:
    people.declare()
    people.apply()
    people.declare(
        entities={"eve": {"policies": ["payments-read"]}, "grace": {}},
        entity_aliases={"ada-by-password": {"entity": "eve", "mount": "people", "name": "ada"}},
        groups={"payments": {"member_entities": ["eve"]}, "engineers": IDENTITY["groups"]["engineers"]},
    )
    people.apply(Asked(destroy=["identity/entities/ada"], verify=False))

    assert [one["name"] for one in (people.api.read("identity/entity/name/eve") or {})["aliases"]] == ["ada"]
    assert people.drift() == ()


def test_groups_leave_a_group_when_they_are_named(people: People) -> None:
    people.declare()
    people.apply()
    people.declare(groups={"payments": {"member_entities": ["ada"]}, "engineers": {"member_entities": ["grace"]}})

    with pytest.raises(Refused, match="name it if you mean it: --destroy identity/groups/engineers/member_groups"):
        people.apply()

    people.apply(Asked(destroy=["identity/groups/engineers/member_groups"], verify=False))
    engineers = people.api.read("identity/group/name/engineers") or {}

    assert not engineers["member_group_ids"]
    assert people.drift() == ()


OIDC: dict[str, Any] = {
    "keys": {"apps": {"algorithm": "ES256"}},
    "roles": {
        "services": {"key": "apps", "template": '{"team": {{identity.entity.metadata.team}}}'},
        "others": {"key": "apps"},
    },
    "clients": {"dashboard": {"key": "apps", "redirect_uris": ["https://dashboard.example.org/callback"]}},
}


def test_an_entity_gets_a_signed_token_by_a_declared_role(people: People) -> None:
    (people.root / "policies").mkdir()
    (people.root / "policies" / "payments-read.hcl").write_text(
        'path "identity/oidc/token/services" {\n  capabilities = ["read"]\n}\n'
    )
    people.declare(identity_oidc=OIDC, entities={**IDENTITY["entities"], "ada": ADA})
    people.apply()
    auth = requests.post(
        f"{people.stack.address}/v1/auth/people/login/ada",
        json={"password": people.environ["ADA_PASSWORD"]},
        headers={"X-Vault-Namespace": people.api.namespace},
        timeout=10,
    ).json()["auth"]
    ada = Api(people.stack.address, auth["client_token"], people.api.namespace)
    token = (ada.read("identity/oidc/token/services") or {})["token"]
    ada.close()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))

    assert claims["team"] == "pay"
    assert claims["exp"] - claims["iat"] == 60 * 60


def test_only_who_is_declared_may_use_a_key_and_no_client_secret_is_kept(people: People) -> None:
    people.declare(identity_oidc=OIDC, groups={}, entity_aliases={})
    people.apply()
    roles = [people.api.read(f"identity/oidc/role/{name}") or {} for name in ("services", "others")]
    client = people.api.read("identity/oidc/client/dashboard") or {}
    allowed = {one["client_id"] for one in (*roles, client)}

    assert set((people.api.read("identity/oidc/key/apps") or {})["allowed_client_ids"]) == allowed
    assert _files_with(people.root, client["client_secret"]) == []

    people.declare(
        identity_oidc={**OIDC, "roles": {"services": OIDC["roles"]["services"]}}, groups={}, entity_aliases={}
    )
    people.apply(Asked(destroy=["all"], verify=False))

    left = set((people.api.read("identity/oidc/key/apps") or {})["allowed_client_ids"])
    assert left == allowed - {roles[1]["client_id"]}
    assert people.drift() == ()


def _files_with(root: Path, secret: str) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and secret in path.read_text(errors="replace")]
