"""A machine ran wild: one role of eleven gave out hundreds of tokens in seconds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from orchestrator.incident.drills.stage import Planted

if TYPE_CHECKING:
    from orchestrator.incident.drills.stage import Stage

TOKENS = 300
WAYS = 8


def plant(stage: Stage) -> Planted:
    """As many logins of one role as a loop without a pause makes in seconds."""
    stage.roles("batch-job")
    held = stage.secret_id("batch-job")
    with ThreadPoolExecutor(WAYS) as pool:
        tokens = list(pool.map(lambda _: stage.login("auth/approle/login", held), range(TOKENS)))
    answers = {"role": "auth/approle/batch-job", "login": "auth/approle/login"}
    return Planted([stage.token(one) for one in tokens], stage.bystanders(), answers)
