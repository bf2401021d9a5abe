"""OIDC with a real provider, which the server itself is: a whole login as a browser goes through it."""

from __future__ import annotations

import http.client
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from orchestrator.live.wire import open_server
from tests.real.house import House

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.local.stack import Stack
    from orchestrator.terraform.provider.api import Api

pytestmark = pytest.mark.server

CALLBACK = "https://vault.example.org/ui/vault/auth/oidc/oidc/callback"
PASSWORD = "canary-person-2e6d"


@dataclass(frozen=True)
class Provider:
    """The provider's side: a client for our mount, and a person with a session there."""

    address: str
    client: str
    secret: str
    person: str

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.address.removeprefix("http://"))
        headers = {"X-Vault-Token": self.person} if "authorize" in path else {}
        connection.request("GET", f"/v1/{path}?{urlencode(query)}", headers=headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@pytest.fixture
def provider(stack: Stack, api: Api) -> Provider:
    word = f"oidc-{secrets.token_hex(4)}"
    client = f"identity/oidc/client/{word}"
    api.call("POST", f"sys/auth/{word}", {"type": "userpass"})
    api.call("POST", f"auth/{word}/users/ada", {"password": PASSWORD})
    api.call("POST", client, {"redirect_uris": [CALLBACK], "assignments": ["allow_all"]})
    known = api.call("GET", client, None)
    person = open_server(stack.address, "", "").write(f"auth/{word}/login/ada", {"password": PASSWORD})
    return Provider(stack.address, known["client_id"], known["client_secret"], person["client_token"])


@pytest.fixture
def house(stack: Stack, provider: Provider, tmp_path: Path) -> House:
    mount = {
        "type": "oidc",
        "config": {
            "oidc_discovery_url": "${LOCAL_OIDC}",
            "oidc_client_id": provider.client,
            "oidc_client_secret": "env:CLIENT_SECRET",
            "default_role": "people",
        },
        "roles": {
            "people": {
                "user_claim": "sub",
                "allowed_redirect_uris": [CALLBACK],
                "token_policies": ["people"],
                "token_ttl": "1h",
            }
        },
    }
    return House(tmp_path, stack, mount, ("people",), {"CLIENT_SECRET": provider.secret})


def login(house: House, provider: Provider) -> Mapping[str, Any]:
    """What the browser does: to the provider, and back with its code."""
    there = house.login("oidc/auth_url", role="people", redirect_uri=CALLBACK)["auth_url"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(there).query).items()}
    given = provider.ask("identity/oidc/provider/default/authorize", **asked)
    back = provider.ask(f"auth/{house.path}/oidc/callback", state=given["state"], code=given["code"])
    return back.get("auth") or {"errors": back["errors"]}


def test_a_person_logs_in_with_the_declared_policies(house: House, provider: Provider) -> None:
    report = house.applied()
    auth = login(house, provider)

    assert [(proof.title, proof.reason) for proof in report.proofs] == [(f"auth/{house.path}/roles/people", "")]
    assert auth["policies"] == ["default", "people"]
    assert auth["lease_duration"] == 3600
    assert house.told(auth, "roles", "people", "others") == [True, False]


def test_a_person_whose_claims_do_not_fit_is_refused(house: House, provider: Provider) -> None:
    house.mount["roles"]["people"]["bound_claims"] = {"groups": "admins"}
    house.applied()

    assert "claim" in login(house, provider)["errors"][0]


def test_one_setting_leaves_the_client_secret_in_place(house: House, provider: Provider) -> None:
    house.applied()
    house.mount["config"]["bound_issuer"] = house.running.address + "/v1/identity/oidc/provider/default"
    changed = house.applied()

    assert [one.title for one in changed.plan.changes] == [f"auth/{house.path}"]
    assert login(house, provider)["policies"] == ["default", "people"]


def test_another_client_secret_is_seen_at_the_login_alone(house: House, provider: Provider) -> None:
    house.environ["CLIENT_SECRET"] = "canary-wrong-secret"
    report = house.applied()

    assert all(proof.ok for proof in report.proofs)
    assert "canary-wrong-secret" not in json.dumps(login(house, provider))
