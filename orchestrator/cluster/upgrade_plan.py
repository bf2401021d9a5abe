"""What an upgrade would do, told from what the nodes run and what is declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster import opening
from orchestrator.cluster.members import is_version
from orchestrator.cluster.raft import undeclared
from orchestrator.cluster.seals import SEALS
from orchestrator.cluster.standing import serves
from orchestrator.errors import Refused
from orchestrator.local.servers import upgrades

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.raft import Peer
    from orchestrator.cluster.standing import Ground
    from orchestrator.declared import Cluster

_DOWN = "it does not run"
_SEALED = "it is sealed"
_MIGRATION = "that is a seal migration: invoke cluster.migrate-seal"


@dataclass(frozen=True)
class Step:
    """One node, from what it runs to what it shall run."""

    node: str
    before: str
    after: str
    why: str
    serves: bool = True  # and so it may only be stopped while the others do
    restarts: bool = True
    leads: bool = False


@dataclass(frozen=True)
class Plan:
    """The nodes in the order in which they are replaced: those that are away, standbys, the leader."""

    cluster: str
    steps: tuple[Step, ...]
    current: tuple[str, ...]
    notes: tuple[str, ...] = ()


def planned(
    ground: Ground, seen: Sequence[Seen], current: Mapping[str, bool | None], peers: Sequence[Peer] | None
) -> Plan:
    """The plan, or Refused with everything that speaks against it."""
    cluster = ground.cluster
    steps = [step for one in seen if (step := _step(cluster, one, current[one.node.name])) is not None]
    steps.sort(key=lambda step: (step.serves, step.leads))
    if problems := [*_problems(ground, seen, steps), *_not_joined(cluster, peers)]:
        raise Refused("\n".join(problems))
    names = {step.node for step in steps}
    rest = tuple(one.node.name for one in seen if one.node.name not in names)
    return Plan(cluster.name, tuple(steps), rest, tuple(_notes(cluster, steps, peers)))


def _step(cluster: Cluster, seen: Seen, current: bool | None) -> Step | None:  # noqa: FBT001 - yes, no, or not known
    """What is to be done to one node; None when it runs what is declared."""
    right = is_version(cluster.version, seen.version)
    reasons = [
        (not seen.answers, _DOWN),
        (seen.answers and not right, "another version"),
        (seen.answers and current is False, "another configuration"),
        (seen.answers and current is None, "nobody knows which configuration it was started with"),
    ]
    why = " and ".join(words for found, words in reasons if found)
    before, name = seen.version or "?", seen.node.name
    if why:
        return Step(name, before, cluster.version, why, serves=serves(seen), leads=seen.active)
    if not serves(seen):
        return Step(name, before, cluster.version, _SEALED, serves=False, restarts=SEALS[cluster.seal.kind].auto)
    return None


def _problems(ground: Ground, seen: Sequence[Seen], steps: Sequence[Step]) -> Iterator[str]:
    cluster = ground.cluster
    for one in seen:
        if one.version and not is_version(cluster.version, one.version) and _is_older(cluster.version, one.version):
            yield (
                f"{one.node.name} runs {one.version}, and {cluster.version} is older: it cannot be trusted with what a "
                f"newer one stored. Declare {one.version} or newer; or take {one.node.name} out with cluster.leave and "
                "have it join anew, or restore a snapshot into a new cluster"
            )
        if one.seal_type and one.seal_type != cluster.seal.kind:
            yield f"{one.node.name} has the seal {one.seal_type}, and {cluster.seal.kind} is declared; {_MIGRATION}"
    if cluster.migrate_from:
        yield f"migrate_from: a migration from {cluster.migrate_from.kind} is declared; {_MIGRATION}"
    if steps and not ground.auto:
        yield from _few_shares(ground, seen, steps)


def _few_shares(ground: Ground, seen: Sequence[Seen], steps: Sequence[Step]) -> Iterator[str]:
    """Each node is sealed once it was started anew, and nobody else gives shares meanwhile."""
    needed, given = max(int(one.seal.document.get("t") or 0) for one in seen), len(ground.shares)
    if not given:
        yield opening.no_shares(ground, [step.node for step in steps])
    elif given < needed:
        yield f"each node takes {needed} shares to be opened again, and {given} is given: give all of them by --keys"


def _is_older(declared: str, live: str) -> bool:
    plain = declared.partition("+")[0].partition("-")[0]
    return not upgrades(live.partition("-")[0], plain)


def _not_joined(cluster: Cluster, peers: Sequence[Peer] | None) -> Iterator[str]:
    if peers is None:
        return
    for node in cluster.nodes:
        if node.name not in {one.name for one in peers}:
            yield (
                f"{node.name} is no peer yet; let the others be upgraded first and leave it out of the file until "
                f"then, or have it join as it is: invoke cluster.join -c {cluster.name} --node {node.name}"
            )


def _notes(cluster: Cluster, steps: Sequence[Step], peers: Sequence[Peer] | None) -> Iterator[str]:
    for one in undeclared(cluster, peers or ()):
        yield f"{one.name} is a peer that no file names, and so it stays as it is"
    if len(cluster.nodes) == 1 and steps:
        yield f"{cluster.nodes[0].name} is the only node: nobody serves while it is replaced"
