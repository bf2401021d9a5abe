"""The only audit device cannot be written to: every request fails, and health says 200 all the while."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.drills.stage import Planted
from orchestrator.local import bao, process

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.incident.drills.stage import Stage

FULL = "/dev/full"  # writing to it fails as on a disk without room
DEVICE = """
audit "file" "drill" {{
  options {{
    file_path = {path}
    mode      = "0000"
  }}
}}
"""
_NODE = ".strongroom/stack/vault"
_STATE = ".strongroom/stack/state.json"


def plant(stage: Stage) -> Planted:
    """A log that the server writes to, on a disk that fills up."""
    folder, log, link = stage.root / _NODE, stage.root / "whole.log", stage.root / "audit.log"
    log.touch(mode=0o600)
    link.symlink_to(log)
    config = folder / "config.hcl"
    config.write_text(config.read_text() + DEVICE.format(path=json.dumps(str(link))))
    _reload(folder)
    if process.until(lambda: "drill/" in (stage.server.read("sys/audit") or {}) or None, 10) is None:
        raise StrongroomError("the drill's audit device does not come up")

    def points_to(target: str, *, answering: bool) -> None:
        link.unlink()
        link.symlink_to(target)
        _reload(folder)
        if process.until(lambda: stage.answers() is answering or None, 10) is None:
            raise StrongroomError(f"the server should {'' if answering else 'not '}answer by now")

    def fill() -> None:
        points_to(FULL, answering=False)
        health = bao.call(json.loads((stage.root / _STATE).read_text())["port"], "GET", "health")
        if health[0] != bao.ACTIVE:
            raise StrongroomError(f"health should say {bao.ACTIVE} still, and says {health[0]}")

    repaired = {"systemctl reload openbao": lambda: points_to(str(log), answering=True)}
    return Planted((), stage.bystanders(), hands=repaired, breaks=fill)


def _reload(folder: Path) -> None:
    pid = process.alive(folder)
    if pid is None:
        raise StrongroomError("the drill's server ended")
    os.kill(pid, signal.SIGHUP)
