"""How a cluster does: what `invoke cluster.status` and `invoke cluster.doctor` answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.health import gather
from orchestrator.cluster.health.judge import judge
from orchestrator.config import clusters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.cluster.health.facts import Facts
    from orchestrator.cluster.health.judge import Health


def status(root: Path, name: str, environ: Mapping[str, str]) -> tuple[Facts, Health]:
    """The cluster as it is now, within seconds whatever hangs."""
    facts = gather.facts(root, clusters.named(root, name, environ), environ)
    return facts, judge(facts)
