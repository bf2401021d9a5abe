"""The server was sealed by somebody, and answers nothing."""

from __future__ import annotations

import json
from functools import partial
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.runbooks.drills.stage import Planted
from orchestrator.local import process

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.incident.runbooks.drills.stage import Stage

SEALED = 2
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

    hands: dict[str, Callable[[], None]] = {"bao status": partial(_is_sealed, stage), "bao operator unseal": unseal}
    return Planted((), stage.bystanders(), hands=hands, breaks=seal)


def _is_sealed(stage: Stage) -> None:
    """The command exits with 2 on a sealed node, and with 0 on one that is open."""
    try:
        stage.run("bao status")
    except CalledProcessError as error:
        if error.returncode == SEALED:
            return
        raise
    raise StrongroomError("`bao status` exits with 0: the server is not sealed")
