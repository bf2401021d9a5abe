"""Which snapshot is meant, as a file that is whole."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cluster.snapshots import archive
from orchestrator.cluster.snapshots.manifest import BESIDE, Manifest, parsed
from orchestrator.cluster.snapshots.take import newest
from orchestrator.errors import StrongroomError
from orchestrator.local import detach, files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.snapshots.archive import Meta
    from orchestrator.cluster.snapshots.ground import Ground
    from orchestrator.cluster.snapshots.places import Place

_COPIES = "copies"


@dataclass(frozen=True)
class Found:
    """A whole snapshot at hand; without a manifest nothing is known of it but what it says itself."""

    file: Path
    meta: Meta
    sha256: str
    manifest: Manifest | None


@contextmanager
def found(ground: Ground, snapshot: str) -> Iterator[Found]:
    """The snapshot of that name in the cluster's place, or in that file; the newest whole one for no name.

    A copy that had to be fetched is there for as long as the block.
    """
    if snapshot and (path := _file(ground, snapshot)):
        beside = files.read(path.with_name(path.name + BESIDE))
        yield _whole(path, parsed(beside, f"{path}{BESIDE}") if beside else None)
        return
    place = ground.place
    manifest = _named(place, snapshot) if snapshot else _newest(place)
    ground.tell(f"checking {manifest.name}")
    copies = _own_folder(files.private_folder(ground.home / _COPIES))
    try:
        yield _whole(place.fetch(manifest, copies), manifest)
    finally:
        files.remove(copies)
        with suppress(OSError):  # another command has copies too
            copies.parent.rmdir()


def _own_folder(copies: Path) -> Path:
    """A folder for this command alone; what killed ones left goes."""
    for left in copies.glob("[0-9]*"):
        if detach.born(int(left.name)) is None:
            files.remove(left)
    return files.private_folder(copies / str(os.getpid()))


def _file(ground: Ground, snapshot: str) -> Path | None:
    path = ground.root / Path(snapshot).expanduser()
    return path if path.is_file() else None


def _named(place: Place, name: str) -> Manifest:
    there = {one.manifest.name: one.manifest for one in place.kept()}
    if name not in there:
        known = f"there are {', '.join(there)}" if there else "nothing is there yet"
        raise StrongroomError(f"there is no snapshot {name} in {place.where}, and no such file; {known}")
    return there[name]


def _newest(place: Place) -> Manifest:
    manifest = newest(place.kept())
    if manifest is None:
        raise StrongroomError(f"there is no whole snapshot in {place.where}; take one with `invoke cluster.snapshot`")
    return manifest


def _whole(path: Path, manifest: Manifest | None) -> Found:
    if not path.is_file():
        raise StrongroomError(f"{path} is not there, only its manifest is; take another snapshot")
    meta, sum_ = archive.read(path), archive.sha256(path)
    if manifest and sum_ != manifest.sha256:
        raise archive.Broken(f"{path} was changed: its SHA-256 is not the one in {manifest.name}{BESIDE}")
    return Found(path, meta, sum_, manifest)
