"""The server was sealed by somebody, and answers nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.drills.stage import Planted
from orchestrator.local import process

if TYPE_CHECKING:
    from orchestrator.incident.drills.stage import Stage

_KEYS = ".strongroom/stack/vault/keys.json"


def plant(stage: Stage) -> Planted:
    """Tokens that live, and must live when the server is open again."""

    def seal() -> None:
        stage.server.write("sys/seal", {})

    def unseal() -> None:
        key = json.loads((stage.root / _KEYS).read_text())["unseal_key"]
        stage.server.as_token("").write("sys/unseal", {"key": key})
        if process.until(lambda: stage.answers() or None, 30) is None:
            raise StrongroomError("the server took the unseal key, and answers nothing still")

    return Planted((), stage.bystanders(), hands={"bao operator unseal": unseal}, breaks=seal)
