"""Unseal keys leaked: after a rotation the old ones open nothing, and the new ones do."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.live.server import Rejected
from orchestrator.local import files, process

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.incident.runbooks.drills.stage import Stage

_KEYS = ".strongroom/stack/vault/keys.json"
_ROTATE = "sys/rotate/root"


def plant(stage: Stage) -> Planted:
    """A server whose one key a stranger has; whether it opens the server is tried by sealing it."""
    path = stage.root / _KEYS
    leaked = str(json.loads(path.read_text())["unseal_key"])

    def rotate() -> None:
        begun = stage.server.write(f"{_ROTATE}/init", {"secret_shares": 1, "secret_threshold": 1})
        made = stage.server.write(f"{_ROTATE}/update", {"key": leaked, "nonce": begun["nonce"]})
        kept = {**json.loads(path.read_text()), "unseal_key": made["keys_base64"][0]}
        files.write(path, json.dumps(kept))

    def current() -> str:
        return str(json.loads(path.read_text())["unseal_key"])

    begin = "bao operator rotate-keys -init -key-shares=5 -key-threshold=3"
    hands = {begin: rotate, "bao operator rotate-keys": _nothing}
    lives = Life("unseal key", partial(_opens, stage, leaked, current))
    return Planted((lives,), stage.bystanders(), hands=hands)


def _nothing() -> None:
    """The shares were given with the step before: a drill's server has one."""


def _opens(stage: Stage, key: str, current: Callable[[], str]) -> bool:
    """Seal the server and try the key; it is open again afterwards, whatever came of it."""
    stage.server.write("sys/seal", {})
    taken = _unseals(stage, key)
    if not taken and not _unseals(stage, current()):
        raise StrongroomError("the server takes neither the old unseal key nor the new one")
    return taken


def _unseals(stage: Stage, key: str) -> bool:
    nobody = stage.server.as_token("")
    try:
        nobody.request("PUT", "sys/unseal", {"key": key})
    except Rejected:
        return False
    return process.until(lambda: stage.answers() or None, 30) is not None
