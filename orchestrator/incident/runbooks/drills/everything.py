"""Everything is cut: every role, every token, every account, but for the one who does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.approle_secret_id import secret_id
from orchestrator.incident.runbooks.drills.stage import Life, Planted

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

ACCOUNTS = 10
SECRET = "secret/payments"  # noqa: S105 - a path


def plant(stage: Stage) -> Planted:
    """What a server has after a while; what is stored must be there afterwards, and new logins must be possible."""
    stage.database("orders-read", "orders-write")
    stage.server.write("sys/mounts/secret", {"type": "kv"})
    stage.server.write(SECRET, {"kept": "yes"})
    leaked = [
        *stage.bystanders(),
        secret_id(stage, stage.secret_id("bystander-0")),
        *stage.accounts("orders-read", ACCOUNTS),
        *stage.accounts("orders-write", ACCOUNTS),
    ]
    others = [
        stage.token(stage.running.token),
        Life("stored secret", lambda: stage.server.read(SECRET) == {"kept": "yes"}),
        Life("login by a new SecretID", lambda: secret_id(stage, stage.secret_id("bystander-1")).lives()),
    ]
    return Planted(leaked, others)
