"""A machine ran wild: one role of eleven gave out hundreds of tokens in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Planted

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

TOKENS = 300


def plant(stage: Stage) -> Planted:
    """As many logins of one role as a loop without a pause makes in seconds."""
    stage.roles("batch-job")
    answers = {"role": "auth/approle/batch-job", "login": "auth/approle/login"}
    return Planted(stage.logins("batch-job", TOKENS), stage.bystanders(), answers)
