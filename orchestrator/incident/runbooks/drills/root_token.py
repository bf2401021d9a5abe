"""Root tokens live that nobody should have; the one that cuts them is spared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.runbooks.drills.stage import Planted

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage

ROOTS = 3


def plant(stage: Stage) -> Planted:
    """Root tokens that somebody made and forgot, and one with a policy of a name that only resembles root."""
    made = [stage.server.write("auth/token/create-orphan", {"policies": ["root"]}) for _ in range(ROOTS)]
    stage.server.write("sys/policies/acl/root-ca", {"policy": 'path "pki/*" {\n  capabilities = ["read"]\n}\n'})
    alike = stage.server.write("auth/token/create-orphan", {"policies": ["root-ca"], "ttl": "1h"})
    others = [stage.token(stage.running.token), stage.token(str(alike["client_token"])), *stage.bystanders()]
    return Planted([stage.token(str(one["client_token"])) for one in made], others)
