"""Credentials of a database role leaked: real accounts on a real PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Planted

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

ACCOUNTS = 20


def plant(stage: Stage) -> Planted:
    """Two roles with accounts; those of one are in a stranger's hands."""
    stage.database("orders-read", "orders-write")
    leaked = stage.accounts("orders-read", ACCOUNTS)
    others = [*stage.accounts("orders-write", ACCOUNTS), *stage.bystanders(2)]
    return Planted(leaked, others, {"role": "database/roles/orders-read"})
