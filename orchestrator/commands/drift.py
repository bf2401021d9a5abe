"""The live server against the YAML, read through the catalogue; no Terraform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.context import opened
from orchestrator.live import drift as compare
from orchestrator.live.many import each

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.live.drift import Drift
    from orchestrator.model import Json


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
        documents = each(compare.paths(context.instances), lambda path, gone: server.read(path, gone=gone))
        held = compare.lists(context.environment)
        listed = each(dict.fromkeys(held, ()), lambda path, _: server.list(path))
        found = [
            *compare.drift(context.instances, documents),
            *compare.undeclared(held, listed),
            *compare.undeclared_mounts(context.environment, "auth", _names(server.read("sys/auth"))),
            *compare.undeclared_mounts(context.environment, "secrets", _names(server.read("sys/mounts"))),
        ]
        return DriftReport(name, context.server, len(context.instances), tuple(found), context.session.warnings)


def _names(document: Mapping[str, Json] | None) -> tuple[str, ...]:
    return tuple(name for name in document or {} if name.endswith("/"))
