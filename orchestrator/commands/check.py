"""What needs no server: validate and render."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config import clusters
from orchestrator.config.load import environments, load
from orchestrator.context import local
from orchestrator.errors import ConfigInvalid, Problem
from orchestrator.incident.rights import policy as rights_of_incidents
from orchestrator.incident.runbooks import sheet
from orchestrator.instances import instances
from orchestrator.live import seeds
from orchestrator.rights import policy
from orchestrator.terraform import render as renderer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json


@dataclass(frozen=True)
class Validated:
    """How many objects each environment declares, how many nodes each cluster, and what is laxer than it should be."""

    counted: Mapping[str, int]
    clusters: Mapping[str, int]
    warnings: tuple[Problem, ...]


def validate(root: Path, names: Sequence[str]) -> Validated:
    """Every environment, cluster and runbook, valid; every problem of all of them at once otherwise.

    With names, those environments alone and their clusters.
    """
    counted: dict[str, int] = {}
    sizes: dict[str, int] = {}
    problems: set[Problem] = set(sheet.problems(root))
    warnings: set[Problem] = set()
    for name in names or environments(root):
        try:
            found = load(root, name, None)
            counted[name] = len(found.declarations)
            sizes[found.cluster.name] = len(found.cluster.nodes)
            warnings |= {*found.warnings, *found.cluster.warnings}
        except ConfigInvalid as error:
            problems |= set(error.problems)
    for name in () if names else clusters.names(root):
        try:
            cluster = clusters.named(root, name, None)
            sizes[name] = len(cluster.nodes)
            warnings |= set(cluster.warnings)
        except ConfigInvalid as error:
            problems |= set(error.problems)
    if problems:
        raise ConfigInvalid(sorted(problems))
    return Validated(counted, sizes, tuple(sorted(warnings)))


def rights(root: Path, name: str, *, writes: bool) -> str:
    """The least policy for a token that plans an environment, or applies it; no server is asked, placeholders stay."""
    declared = load(root, name, None)
    return policy(instances(declared), seeds.declared(declared), writes=writes)


def incident_rights(root: Path, name: str) -> str:
    """The least policy for whoever revokes in an environment; no server is asked."""
    return rights_of_incidents(load(root, name, None))


def render(root: Path, name: str, environ: Mapping[str, str]) -> dict[str, Json]:
    """The Terraform JSON of an environment; no server is asked, no secret is read."""
    declared = load(root, name, None)
    return renderer.render(instances(load(root, name, {**local(root, declared), **environ})))
