"""Begin a cluster whose nodes run already: initialise it, apply its first environment, end the root token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster import beginning
from orchestrator.cluster.beginning import Ground
from orchestrator.cluster.machines import choose
from orchestrator.commands.cluster import applier, check
from orchestrator.config import clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.cluster.beginning import Begun
    from orchestrator.terraform.stream import Progress


def init(root: Path, name: str, environ: Mapping[str, str], tell: Callable[[str], None], progress: Progress) -> Begun:
    """Make the empty nodes of a cluster one that serves; run again after it was stopped, it goes on."""
    declared = clusters.named(root, name, environ)
    with choose.opened(root, declared, environ) as control:
        check(root, declared)
        own = control if declared.run else None  # nobody's machines but ours are wiped without being asked
        return beginning.begin(Ground(root, control.cluster, own, environ, applier(root, progress), tell))
