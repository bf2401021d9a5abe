"""A SecretID leaked: its role is one of eleven, with hundreds of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json
    from orchestrator.incident.runbooks.drills.stage import Stage

TOKENS = 300


def plant(stage: Stage) -> Planted:
    """A role that ran for a while, and a SecretID of it in a stranger's hands."""
    stage.roles("payments")
    leaked = [*stage.logins("payments", TOKENS), secret_id(stage, stage.secret_id("payments"))]
    others = [*stage.bystanders(), secret_id(stage, stage.secret_id("bystander-3"))]
    return Planted(leaked, others, {"role": "auth/approle/payments"})


def secret_id(stage: Stage, held: Mapping[str, Json]) -> Life:
    """A SecretID lives as long as somebody can log in with it."""

    def lives() -> bool:
        try:
            stage.login("auth/approle/login", held)
        except Rejected:
            return False
        return True

    return Life("SecretID", lives)
