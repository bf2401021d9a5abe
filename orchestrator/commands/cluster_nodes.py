"""Nodes of a cluster: opened, sealed, added, taken out, upgraded; the leadership handed on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, lead, members, opening, sealing, shares, upgrade
from orchestrator.cluster.machines import choose, local
from orchestrator.cluster.seals import SEALS
from orchestrator.cluster.snapshots import ground as snapshots
from orchestrator.cluster.snapshots import take
from orchestrator.cluster.standing import Ground, named
from orchestrator.config import clusters
from orchestrator.errors import Refused

WHY = "before an upgrade"

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.cluster.members import Handed, Leaving
    from orchestrator.cluster.sealing import Sealing, Shut
    from orchestrator.cluster.shares import Opened, Share
    from orchestrator.cluster.standing import Standing
    from orchestrator.cluster.upgrade import Upgraded
    from orchestrator.cluster.upgrade_plan import Plan
    from orchestrator.declared import Cluster

    Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What the command line says of a cluster and its keys."""

    root: Path
    name: str
    environ: Mapping[str, str]
    tell: Tell
    ways: tuple[str, ...] = ()  # to the shares


@contextmanager
def _ground(asked: Asked) -> Iterator[Ground]:
    declared = clusters.named(asked.root, asked.name, asked.environ)
    given = _shares(asked, declared)
    with choose.opened(asked.root, declared, asked.environ) as control:
        yield Ground(asked.root, declared, asked.environ, control, asked.tell, given)


def _shares(asked: Asked, declared: Cluster) -> tuple[Share, ...]:
    """Those of the command line; else, where nodes do not unseal themselves, those that lie here."""
    if asked.ways:
        return shares.given(asked.ways)
    if SEALS[declared.seal.kind].auto:
        return ()
    found = shares.lying(keys.folder(asked.root, declared), "unseal")
    if found:
        asked.tell(f"the shares in {keys.folder(asked.root, declared)} are at hand")
    return found


def unseal(asked: Asked, node: str) -> tuple[Opened, ...]:
    with _ground(asked) as ground:
        wanted = [named(ground.cluster, node)] if node else ground.cluster.nodes
        return opening.unseal(ground, wanted)


def seal(asked: Asked, node: str, agree: Callable[[Sealing], None], *, all_: bool) -> tuple[Shut, ...]:
    if all_ == bool(node):
        raise Refused("say which node is sealed: --node NAME, or --all")
    with _ground(asked) as ground:
        return sealing.seal_all(ground, agree) if all_ else sealing.seal(ground, node, agree)


def step_down(asked: Asked) -> Handed:
    declared = clusters.named(asked.root, asked.name, asked.environ)
    with lead.session(asked.root, declared, asked.environ) as led:
        return members.step_down(led)


def join(asked: Asked, node: str) -> Standing:
    with _ground(asked) as ground:
        return members.join(ground, node)


def leave(asked: Asked, node: str, agree: Callable[[Leaving], None]) -> Leaving:
    with _ground(asked) as ground:
        return members.leave(ground, node, agree)


def plan(asked: Asked) -> Plan:
    """What an upgrade would do."""
    with _ground(asked) as ground:
        return upgrade.look(ground)


def upgraded(asked: Asked, agree: Callable[[Plan], None]) -> Upgraded:
    """Every node replaced that does not run what is declared."""
    with _ground(asked) as ground:
        found = upgrade.look(ground)
        if found.steps:
            agree(found)
        return upgrade.upgrade(ground, found, lambda: _saved(ground))


def _saved(ground: Ground) -> str:
    """The snapshot that is taken before anything is stopped: where the others are, or beside the cluster's folder."""
    beside = local.folder(ground.root, ground.declared.name) / "before-upgrade"
    to = "" if ground.declared.snapshots else f"file://{beside}"
    taken = take.take(snapshots.Ground(ground.root, ground.declared, ground.environ, ground.tell, to), why=WHY)
    return f"{taken.manifest.name} in {taken.where}" if taken.manifest else ""
