"""The live server against the YAML, read through the catalogue; no Terraform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config.load import inside
from orchestrator.context import opened
from orchestrator.documents import get
from orchestrator.live import drift as compare
from orchestrator.live import seeds
from orchestrator.live.many import each, read
from orchestrator.live.standing import has_its_mount, standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.live.drift import Drift
    from orchestrator.live.server import Server


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
        documents = read(server, compare.paths(there))
        sown = seeds.declared(context.environment)
        owned = inside(root, context.environment).values()
        held = compare.outside(compare.lists(context.environment, mounts), owned)
        listed = each(dict.fromkeys(held, ()), lambda path, _: _names(server, path, held[path].table))
        strange = compare.strangers(held, listed, compare.paths(context.instances))
        found = [
            *compare.drift(context.instances, documents),
            *compare.undeclared(held, strange, read(server, compare.unclear(held, strange))),
            *compare.undeclared_mounts(context.environment, mounts),
            *seeds.drift(server, sown),
        ]
        compared = len(context.instances) + len(sown)
        return DriftReport(name, context.server, compared, tuple(found), context.session.warnings)


def _names(server: Server, path: str, table: str | None) -> Sequence[str]:
    """The names that stand under a path: listed, or in the table that an answer holds."""
    if table is None:
        return server.list(path)
    answer = server.read(path) or {}
    return list(get(answer, table) or () if table else answer)
