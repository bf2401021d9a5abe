"""The live server against the YAML, read through the catalogue; no Terraform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.context import opened
from orchestrator.live import drift as compare
from orchestrator.live.many import each
from orchestrator.live.standing import has_its_mount, standing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.live.drift import Drift


@dataclass(frozen=True)
class DriftReport:
    """Where the server differs from the YAML."""

    environment: str
    server: str
    compared: int
    drifts: tuple[Drift, ...]
    warnings: tuple[str, ...]

    @property
    def code(self) -> int:
        return 2 if self.drifts else 0


def drift(root: Path, name: str, environ: Mapping[str, str]) -> DriftReport:
    """The live server against the YAML, read through the catalogue; no Terraform."""
    with opened(root, name, environ) as context:
        server = context.session.server
        mounts = standing(server)
        there = [one for one in context.instances if one.declaration.object is None or has_its_mount(one, mounts)]
        documents = each(compare.paths(there), lambda path, gone: server.read(path, gone=gone))
        held = compare.lists(context.environment, mounts)
        listed = each(dict.fromkeys(held, ()), lambda path, _: server.list(path))
        strange = compare.strangers(held, listed)
        found = [
            *compare.drift(context.instances, documents),
            *compare.undeclared(held, strange, each(compare.unclear(held, strange), lambda path, _: server.read(path))),
            *compare.undeclared_mounts(context.environment, mounts),
        ]
        return DriftReport(name, context.server, len(context.instances), tuple(found), context.session.warnings)
