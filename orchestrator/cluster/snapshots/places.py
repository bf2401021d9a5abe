"""Where snapshots are kept: a folder, or a bucket; what counts is a snapshot with its manifest beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orchestrator.cluster.snapshots import manifest as manifests
from orchestrator.cluster.snapshots.manifest import BESIDE, Manifest
from orchestrator.errors import StrongroomError
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Kept:
    """A snapshot that lies somewhere: `size` is None when only its manifest is left."""

    manifest: Manifest
    size: int | None

    @property
    def whole(self) -> bool:
        """Whether it has the size that it had when every byte was checked."""
        return self.size == self.manifest.size


class Place(Protocol):
    """One place that keeps the snapshots of one cluster."""

    @property
    def where(self) -> str:
        """As people write it."""

    def kept(self) -> tuple[Kept, ...]:
        """All of the cluster's snapshots with a manifest, the newest first."""

    def stage(self, into: Path) -> Folder:
        """Where a snapshot is written first: this place itself, or a folder of this machine."""

    def put(self, file: Path, manifest: Manifest) -> None:
        """Take a whole snapshot in; the manifest last, by which it counts."""

    def fetch(self, manifest: Manifest, into: Path) -> Path:
        """The snapshot as a file; where it lies in a folder already, that one."""

    def drop(self, manifest: Manifest) -> None:
        """Delete a snapshot; its manifest last, so that what is left of a killed deletion is found."""


def ordered(found: list[Kept]) -> tuple[Kept, ...]:
    return tuple(sorted(found, key=lambda one: (one.manifest.taken, one.manifest.index), reverse=True))


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or one that is mounted on it."""

    path: Path
    cluster: str

    @property
    def where(self) -> str:
        return f"file://{self.path}"

    def kept(self) -> tuple[Kept, ...]:
        found = []
        for beside in self.path.glob(f"{self.cluster}-*{manifests.ENDING}{BESIDE}"):
            if not manifests.is_ours(self.cluster, beside.name):
                continue
            manifest = manifests.parsed(beside.read_text(), str(beside))
            file = self.path / manifest.name
            found.append(Kept(manifest, file.stat().st_size if file.exists() else None))
        return ordered(found)

    def stage(self, into: Path) -> Folder:  # noqa: ARG002 - a rename must not cross to another disk
        return self

    def put(self, file: Path, manifest: Manifest) -> None:
        file.replace(self.path / manifest.name)
        files.write(self.path / (manifest.name + BESIDE), manifest.text())
        _synced(self.path)

    def fetch(self, manifest: Manifest, into: Path) -> Path:  # noqa: ARG002 - it is here already
        return self.path / manifest.name

    def drop(self, manifest: Manifest) -> None:
        (self.path / manifest.name).unlink(missing_ok=True)
        (self.path / (manifest.name + BESIDE)).unlink(missing_ok=True)


def _synced(folder: Path) -> None:
    """Have the names in a folder on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def folder(root: Path, to: str) -> Path:
    """The folder that `file:` names, as the project sees it.

    >>> from pathlib import Path
    >>> folder(Path("/p"), "file:///var/snapshots"), folder(Path("/p"), "file:snapshots/ha")
    (PosixPath('/var/snapshots'), PosixPath('/p/snapshots/ha'))
    """
    return root / to.removeprefix("file:").removeprefix("//")


def opened(root: Path, cluster: str, to: str, storage: Mapping[str, str], encryption: str) -> Place:
    """The place that `snapshots: {to: ...}` names; `storage` are the variables of one that we emulate."""
    if not to.startswith("s3://"):
        path = folder(root, to)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StrongroomError(
                f"{path} cannot be made: {error.strerror}; correct `snapshots: {{to: ...}}`"
            ) from error
        return Folder(path, cluster)
    from orchestrator.cluster.snapshots.bucket import Bucket  # noqa: PLC0415 - boto3 takes a while to load

    bucket, _, prefix = to.removeprefix("s3://").partition("/")
    return Bucket(bucket, prefix.strip("/"), cluster, encryption, storage)
