"""A seal left for another: where each node stands, told by what it answers, and what is to be done next."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from orchestrator.cluster.seals import SEALS
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Cluster, Node, Seal
    from orchestrator.documents import Json

_MISMATCH = re.compile(r'barrier seal type of "(?P<stored>\w+)" does not match loaded type of "(?P<loaded>\w+)"')


class Stand(Enum):
    """Where a node stands on its way to the new seal."""

    SILENT = "does not answer"
    OLD = "on the old seal"
    WAITS = "sealed between the seals: it waits for the shares"
    OPENED = "open between the seals: it moves when the leader has"
    NEW = "on the new seal"


@dataclass(frozen=True)
class Move:
    """What is left for what; `in_place` when the new seal itself still knows the old key."""

    old: Seal
    new: Seal
    in_place: bool = False

    @property
    def told(self) -> bool:
        """Whether a node itself tells on which seal it is: two keys of one kind look alike."""
        return self.old.kind != self.new.kind

    def __str__(self) -> str:
        return f"{_named(self.old)} to {_named(self.new)}"


@dataclass(frozen=True)
class Done:
    """What is known of earlier runs: who started with both seals, and who was opened by the new one alone."""

    crossed: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()


def _named(seal: Seal) -> str:
    names = [
        str(seal.settings[name])
        for name in (*SEALS[seal.kind].required, *SEALS[seal.kind].made)
        if name in seal.settings
    ]
    return f"{seal.kind} ({', '.join(names)})" if names else seal.kind


def called(seal: Seal) -> str:
    """What a cluster with this seal calls the shares of its key."""
    return "recovery" if SEALS[seal.kind].auto else "unseal"


def move(cluster: Cluster) -> Move | None:
    """What the cluster's file asks for; None where it names no seal to leave."""
    if cluster.migrate_from:
        return Move(cluster.migrate_from, cluster.seal)
    previous, said = SEALS[cluster.seal.kind].previous, cluster.seal.settings
    if not any(name in said for name in previous):
        return None
    old = {now: said[before] for before, now in previous.items() if before in said}
    return Move(replace(cluster.seal, settings={**_bare(cluster.seal), **old}), cluster.seal, in_place=True)


def settled(cluster: Cluster) -> Cluster:
    """The cluster as it shall stand in the end: with the new seal and no trace of the old."""
    return replace(cluster, migrate_from=None, seal=replace(cluster.seal, settings=_bare(cluster.seal)))


def before(cluster: Cluster, asked: Move) -> Cluster:
    """The cluster as it stood: what a node gets back that does not come up with the new seal."""
    return replace(cluster, migrate_from=None, seal=asked.old)


def _bare(seal: Seal) -> dict[str, Json]:
    return {name: value for name, value in seal.settings.items() if name not in SEALS[seal.kind].previous}


def loaded(one: Seen) -> str:
    """The seal that a node was started with; while it lags behind its leader, only its error tells."""
    told = _MISMATCH.search(one.seal.words)
    return told["loaded"] if told else one.seal_type


def stand(one: Seen, asked: Move, done: Done) -> Stand:
    """Where a node stands."""
    if not one.answers:
        return Stand.SILENT
    crossed = loaded(one) == asked.new.kind if asked.told else one.node.name in done.crossed
    if not crossed:
        return Stand.OLD
    if _MISMATCH.search(one.seal.words):
        return Stand.OPENED
    if one.sealed:
        return Stand.WAITS
    return Stand.OPENED if one.seal.document.get("migration") else Stand.NEW


def moved(seen: Sequence[Seen], asked: Move, done: Done) -> bool:
    """Whether the barrier is sealed anew: a node leads that knows the new seal, and it moves before it leads."""
    return any(one.active and stand(one, asked, done) is Stand.NEW for one in seen)


def next_to_cross(seen: Sequence[Seen], asked: Move, done: Done) -> Seen | None:
    """The node that is to be taken next: those that serve nobody first, and the leader not while another is left."""
    left = [one for one in seen if stand(one, asked, done) in {Stand.SILENT, Stand.WAITS, Stand.OLD}]
    order = {Stand.SILENT: 0, Stand.WAITS: 1, Stand.OLD: 2}
    ordered = sorted(left, key=lambda one: (one.active, order[stand(one, asked, done)]))
    return next((one for one in ordered if not one.active or len(seen) == 1), None)


def of(seen: Sequence[Seen], node: Node) -> Seen:
    return next(one for one in seen if one.node.name == node.name)


def told(seen: Sequence[Seen], asked: Move, done: Done) -> str:
    """Each node and where it stands."""
    return "; ".join(f"{one.node.name} {stand(one, asked, done).value}" for one in seen)


def _digest(seal: Seal) -> str:
    return hashlib.sha256(json.dumps([seal.kind, _bare(seal)], sort_keys=True, default=str).encode()).hexdigest()[:16]


def recall(path: Path, cluster: Cluster) -> Done:
    """What earlier runs towards the same seal have done."""
    said = json.loads(files.read(path) or "{}")
    if said.get("to") != _digest(cluster.seal):
        return Done()
    return Done(frozenset(said["crossed"]), frozenset(said["settled"]))


def remember(path: Path, cluster: Cluster, done: Done) -> None:
    document = {"to": _digest(cluster.seal), "crossed": sorted(done.crossed), "settled": sorted(done.settled)}
    files.private_folder(path.parent)
    files.write(path, json.dumps(document, indent=2))


def with_node(names: Collection[str], node: Node) -> frozenset[str]:
    return frozenset({*names, node.name})
