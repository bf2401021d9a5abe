"""A token leaked: it, the tokens that were made with it, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Life, Planted

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

CHILDREN = 20
POLICY = 'path "auth/token/create" {\n  capabilities = ["update"]\n}\n'


def plant(stage: Stage) -> Planted:
    """A token with children, in a file as somebody found it."""
    stage.server.write("sys/policies/acl/parent", {"policy": POLICY})
    made = stage.server.write("auth/token/create", {"policies": ["default", "parent"], "no_parent": True, "ttl": "1h"})
    leaked = str(made["client_token"])
    with_it = stage.server.as_token(leaked)
    children = [with_it.write("auth/token/create", {"policies": ["default"]}) for _ in range(CHILDREN)]
    lives: list[Life] = [stage.token(leaked), *(stage.token(str(one["client_token"])) for one in children)]
    return Planted(lives, stage.bystanders(), {"token": f"file:{stage.kept('found.txt', leaked)}"})
