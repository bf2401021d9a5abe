"""What all work on snapshots stands on: the cluster as it is placed, who leads it, and a login at that node."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import choose, local
from orchestrator.cluster.machines.helpers import HELPERS
from orchestrator.cluster.snapshots import places
from orchestrator.config import clusters
from orchestrator.errors import StrongroomError
from orchestrator.live.session import connect
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.cluster.snapshots.places import Place
    from orchestrator.declared import Cluster
    from orchestrator.live.session import Session

ENCRYPTION = "AES256"
_PATIENCE = 5.0
_ELECTION = 60.0
_ELSEWHERE = {f"{product}_{name}" for product in ("VAULT", "BAO") for name in ("ADDR", "NAMESPACE")}
_ITS_CA = {"VAULT_CACERT", "BAO_CACERT"}


@dataclass(frozen=True)
class Ground:
    """One cluster, and where its snapshots are kept; `to` replaces what its file says."""

    root: Path
    declared: Cluster
    environ: Mapping[str, str] = field(repr=False)
    tell: Callable[[str], None]
    to: str = ""

    @property
    def cluster(self) -> Cluster:
        return choose.placed(self.root, self.declared)

    @property
    def home(self) -> Path:
        """Ours, on this machine: what waits for its upload, and how the last drill went."""
        return files.private_folder(local.folder(self.root, self.declared.name) / "snapshots")

    @property
    def place(self) -> Place:
        to = self.to or (self.declared.snapshots.to if self.declared.snapshots else "")
        if not to:
            raise StrongroomError(
                f"cluster {self.declared.name} does not say where its snapshots are; write "
                "`snapshots: {every: 6h, keep: 28, to: file:///folder}` into its file, or say --to"
            )
        encryption = self.declared.snapshots.encryption if self.declared.snapshots else ENCRYPTION
        return places.opened(self.root, self.declared.name, to, self._storage(), encryption)

    def _storage(self) -> Mapping[str, str]:
        """How to find the object storage that stands beside a local cluster, where one does."""
        helper = HELPERS.get(self.declared.seal.kind) if self.declared.run == "local" else None
        return helper.storage(local.folder(self.root, self.declared.name)) if helper else {}


def ground(root: Path, name: str, environ: Mapping[str, str], tell: Callable[[str], None], to: str = "") -> Ground:
    return Ground(root, clusters.named(root, name, environ), environ, tell, to)


@contextmanager
def alone(ground: Ground) -> Iterator[None]:
    """One command at a time may write snapshots of a cluster from this machine."""
    who = f"another command has worked on the snapshots of {ground.declared.name}"
    with files.locked(ground.home / "lock", _PATIENCE, who):
        yield


@contextmanager
def at_leader(ground: Ground, cluster: Cluster | None = None) -> Iterator[Session]:
    """A session in the root namespace of the node that leads."""
    cluster = cluster or ground.cluster
    leader = nodes.wait_for_leader(cluster, _ELECTION)
    foreign = _ELSEWHERE | (_ITS_CA if cluster.ca_cert else set())
    environ = {name: value for name, value in ground.environ.items() if name not in foreign}
    session = connect(replace(cluster, address=leader.url, run=""), "", environ, ground.root)
    try:
        yield session
    finally:
        session.close()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
