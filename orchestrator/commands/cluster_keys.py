"""The keys of a cluster: leave a seal for another, rotate, and a root token that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster import lead, migrate, shares
from orchestrator.cluster.machines import local
from orchestrator.config import clusters
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.migrate import Ground, Migrated, Planned


def moving(
    root: Path, name: str, environ: Mapping[str, str], ways: Sequence[str], tell: Callable[[str], None]
) -> Ground:
    """What a migration stands on; the shares are read once."""
    declared = clusters.named(root, name, environ)

    def snapshot() -> str:
        return _saved(root, name, environ, tell)

    opened = migrate.opener(root, environ)
    return migrate.Ground(root, declared, environ, opened, shares.given(ways), snapshot, tell)


def migrate_seal(ground: Ground, agree: Callable[[Planned], None]) -> Migrated:
    """Show what is to be done, ask, and do it."""
    planned = migrate.planned(ground)
    if planned.steps:
        agree(planned)
    return migrate.migrate(ground)


def _saved(root: Path, name: str, environ: Mapping[str, str], tell: Callable[[str], None]) -> str:
    """A snapshot from before, for the worst case; what it holds is still sealed by the old key."""
    tell("saving a snapshot")
    place = files.private_folder(local.folder(root, name) / "snapshots")
    declared = clusters.named(root, name, environ)
    with lead.session(root, declared, environ) as led:
        content = led.do(lambda server: server.fetch("sys/storage/raft/snapshot"))
    path = place / "before-migrate-seal.snap"
    files.write(path, content)
    return str(path)
