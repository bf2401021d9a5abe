"""Recover a cluster that lost its quorum for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster import recover
from orchestrator.config import clusters
from orchestrator.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.cluster.recover import Intended, Recovered


def recovered(
    root: Path,
    name: str,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
    survivor: str,
    *,
    yes: str,
    show: Callable[[Intended], None],
    ask: Callable[[Intended], None],
) -> Recovered:
    """Show what would become of the cluster, have it agreed to, and do it."""

    def agree(intended: Intended) -> None:
        show(intended)
        if not yes:
            ask(intended)
        elif yes != intended.digest:
            raise Refused(f"--yes {yes} is not what would be done now: that is {intended.digest}; look at it again")

    return recover.recover(root, clusters.named(root, name, environ), environ, survivor, agree, tell)
