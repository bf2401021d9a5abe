"""A stored secret leaked: its old versions are destroyed, and the new value is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Life, Planted

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

VERSIONS = 3
OTHERS = 10


def plant(stage: Stage) -> Planted:
    """A secret of three versions, the last of which leaked, beside ten others."""
    stage.server.write("sys/mounts/apps", {"type": "kv", "options": {"version": "2"}})
    for number in range(1, VERSIONS + 1):
        stage.server.write("apps/data/payments/db", {"data": {"password": f"old {number}"}})
    for number in range(OTHERS):
        stage.server.write(f"apps/data/other/{number}", {"data": {"password": "kept"}})
    leaked = [_life(stage, "payments/db", number) for number in range(1, VERSIONS + 1)]
    others = [_life(stage, f"other/{number}", 1) for number in range(OTHERS)]

    def change() -> None:
        stage.server.write("apps/data/payments/db", {"data": {"password": "new"}})

    answers = {"mount": "apps", "path": "payments/db", "versions": "1,2,3"}
    hands = {"bao kv put -mount=apps payments/db password=-": change}
    return Planted(leaked, [*others, *stage.bystanders(1)], answers, hands)


def _life(stage: Stage, path: str, version: int) -> Life:
    def lives() -> bool:
        found = stage.server.read(f"apps/data/{path}", query=f"version={version}")
        return bool(found and found.get("data"))

    return Life("secret version", lives)
