"""The only audit device cannot be written to: every request fails, and health says 200 all the while."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.runbooks.drills.stage import Planted
from orchestrator.local import bao, process

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.incident.runbooks.drills.stage import Stage

_NODE = ".strongroom/stack/vault"
_STATE = ".strongroom/stack/state.json"
_DEVICE = {"type": "file", "options": {"file_path": "audit.log"}}


def plant(stage: Stage) -> Planted:
    """A folder in the place of the log: what the server meets when a mount is lost, or a disk is full."""
    folder = stage.root / _NODE
    log = folder / "audit.log"
    if not (stage.server.read("sys/audit") or {}):
        stage.server.write("sys/audit/drill", _DEVICE)

    def lose() -> None:
        log.rename(log.with_suffix(".aside"))
        log.mkdir()
        _reload(stage, folder, answering=False)
        health, _ = bao.call(json.loads((stage.root / _STATE).read_text())["port"], "GET", "health")
        if health != bao.ACTIVE:
            raise StrongroomError(f"health should say {bao.ACTIVE} still, and says {health}")

    def bring_back() -> None:
        log.rmdir()
        log.with_suffix(".aside").rename(log)
        _reload(stage, folder, answering=True)

    return Planted((), stage.bystanders(), hands={"systemctl reload openbao": bring_back}, breaks=lose)


def _reload(stage: Stage, folder: Path, *, answering: bool) -> None:
    """Let the server open its devices anew, and wait till it answers, or answers no more."""
    pid = process.alive(folder)
    if pid is None:
        raise StrongroomError("the drill's server ended")
    os.kill(pid, signal.SIGHUP)
    if process.until(lambda: stage.answers() is answering or None, 10) is None:
        raise StrongroomError(f"the server answers {'nothing still' if answering else 'though nothing is recorded'}")
