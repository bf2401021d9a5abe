"""A host was taken over: all that its applications held, by several roles at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.approle_secret_id import secret_id
from orchestrator.incident.runbooks.drills.stage import Planted

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

TOKENS = 20
ACCOUNTS = 10


def plant(stage: Stage) -> Planted:
    """Two applications on the host, with AppRole roles, database accounts, and a token in a file."""
    stage.roles("payments", "invoices", "mail")
    stage.database("orders-read", "orders-write")
    lying = str(stage.server.write("auth/token/create", {"policies": ["default"], "no_parent": True})["client_token"])
    leaked = [
        *stage.logins("payments", TOKENS),
        *stage.logins("invoices", TOKENS),
        secret_id(stage, stage.secret_id("payments")),
        *stage.accounts("orders-read", ACCOUNTS),
        stage.token(lying),
    ]
    others = [*stage.logins("mail", TOKENS), *stage.accounts("orders-write", ACCOUNTS), *stage.bystanders(2)]
    answers = {
        "roles": "auth/approle/payments auth/approle/invoices",
        "database_roles": "database/roles/orders-read",
        "token": f"file:{stage.kept('found.txt', lying)}",
    }
    return Planted(leaked, others, answers)
