"""An operator's account was taken over: one person, who logged in by two ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

LOGINS = 5
WAYS = ("userpass", "staff")
PASSWORD = "a password of the drill"  # noqa: S105 - the server of a drill lives for seconds


def plant(stage: Stage) -> Planted:
    """Two people with an entity each, and an account on each of two mounts."""
    for way in WAYS:
        stage.server.write(f"sys/auth/{way}", {"type": "userpass"})
    people = {name: _person(stage, name) for name in ("mallory", "alice")}

    def new_password() -> None:
        for way in WAYS:
            stage.server.write(f"auth/{way}/users/mallory", {"password": f"another {PASSWORD}"})

    answers = {"person": "mallory", "account": "auth/userpass/users/mallory"}
    hands = {"bao write auth/userpass/users/mallory password=-": new_password}
    return Planted(people["mallory"], [*people["alice"], *stage.bystanders(2)], answers, hands)


def _person(stage: Stage, name: str) -> list[Life]:
    identity = stage.server.write("identity/entity", {"name": name})["id"]
    mounts = stage.server.read("sys/auth") or {}
    lives: list[Life] = []
    for way in WAYS:
        accessor = mounts[f"{way}/"]["accessor"]
        stage.server.write(f"auth/{way}/users/{name}", {"password": PASSWORD, "token_ttl": "1h"})
        stage.server.write(
            "identity/entity-alias", {"name": name, "canonical_id": identity, "mount_accessor": accessor}
        )
        path = f"auth/{way}/login/{name}"
        lives += [stage.token(stage.login(path, {"password": PASSWORD})) for _ in range(LOGINS)]
        lives.append(_login(stage, path))
    return lives


def _login(stage: Stage, path: str) -> Life:
    """The account lives as long as a login by it gives a token that is of use."""

    def lives() -> bool:
        try:
            return stage.token(stage.login(path, {"password": PASSWORD})).lives()
        except (Denied, Rejected):
            return False

    return Life("account", lives)
