"""How a cluster does: what `invoke cluster.status` and `invoke cluster.doctor` answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.doctor import examine
from orchestrator.cluster.health import gather
from orchestrator.cluster.health.judge import judge
from orchestrator.config import clusters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.cluster.doctor.model import Examined
    from orchestrator.cluster.health.facts import Facts
    from orchestrator.cluster.health.judge import Health


def status(root: Path, name: str, environ: Mapping[str, str]) -> tuple[Facts, Health]:
    """The cluster as it is now, within seconds whatever hangs."""
    facts = gather.facts(root, clusters.named(root, name, environ), environ)
    return facts, judge(facts)


def doctor(root: Path, name: str, environ: Mapping[str, str], only: str) -> tuple[Examined, ...]:
    """What the checks find; `only` names rules."""
    checks = examine.chosen(only)
    return examine.examine(examine.receive(root, clusters.named(root, name, environ), environ), checks)
