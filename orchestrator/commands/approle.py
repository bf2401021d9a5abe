"""SecretIDs for people who hand them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.context import opened
from orchestrator.live import approle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.live.approle import Issued


def issue(root: Path, name: str, environ: Mapping[str, str], mount: str, role: str, wrap: str) -> Issued:
    """A wrapped SecretID of one of the environment's roles."""
    with opened(root, name, environ) as context:
        return approle.issue(context.session.server, mount, role, wrap)
