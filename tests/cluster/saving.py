"""Snapshots of a house: its commands with nothing to say, and whoever agrees to everything."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

from orchestrator.cluster.snapshots import places
from orchestrator.commands import snapshots as commands
from tests.cluster import dying
from tests.cluster.house import NAME
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.cluster.snapshots.drill import Drilled
    from orchestrator.cluster.snapshots.manifest import Manifest
    from orchestrator.cluster.snapshots.restore import Restored
    from orchestrator.commands.snapshots import Listed
    from orchestrator.documents import Json
    from tests.cluster.house import House


def snapshots(root: Path, keep: int = 28) -> Json:
    return {"every": "6h", "keep": keep, "to": f"file://{root}/kept"}


def quiet(_: object) -> None:
    """Nobody listens, and nobody says no."""


def take(house: House, environ: Mapping[str, str] | None = None) -> Manifest:
    taken = commands.snapshot(house.root, NAME, environ or house.environ, quiet)
    assert taken.manifest is not None
    return taken.manifest


def listed(house: House, *, check: bool = False) -> Listed:
    return commands.listed(house.root, NAME, house.environ, quiet, check=check)


def restore(house: House, snapshot: str = "", *, empty: bool = False, yes: str = "") -> Restored:
    return commands.restored(
        house.root, NAME, house.environ, quiet, snapshot, empty=empty, to="", yes=yes, show=quiet, ask=quiet
    )


def drill(house: House) -> Drilled:
    return commands.drilled(house.root, NAME, house.environ, quiet, size=1, to="", connected=False)


def kept(house: House) -> Path:
    """The folder of its snapshots."""
    return places.folder(house.root, f"file://{house.root}/kept")


def dies(house: House, verb: str, step: str) -> None:
    """Run one of these commands until it kills itself at that step."""
    command = [sys.executable, dying.__file__, str(house.root), verb, step]
    done = subprocess.run(command, cwd=REPOSITORY, env={**house.environ, "PYTHONPATH": "."}, check=False, timeout=120)
    assert done.returncode == -9


def tampered(file: Path, into: Path) -> Path:
    """A snapshot with another byte in its state, packed so that gzip and tar find nothing wrong."""
    with gzip.open(file) as plain:
        content = plain.read()
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=changed, mode="w") as new:
        for member in old:
            part = old.extractfile(member)
            data = bytearray(part.read() if part else b"")
            if member.name == "state.bin":
                data[100] ^= 1
            new.addfile(member, io.BytesIO(bytes(data)))
    into.write_bytes(gzip.compress(changed.getvalue()))
    return into
