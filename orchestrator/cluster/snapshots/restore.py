"""Put a snapshot in place of what a cluster holds: shown, agreed to, saved before, sent, compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, nodes, raft
from orchestrator.cluster.machines import choose
from orchestrator.cluster.snapshots import contents, find, fits, fresh, sent
from orchestrator.cluster.snapshots.ground import alone, at_leader, now
from orchestrator.cluster.snapshots.take import take
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.snapshots.contents import Difference
    from orchestrator.cluster.snapshots.find import Found
    from orchestrator.cluster.snapshots.ground import Ground
    from orchestrator.cluster.snapshots.manifest import Manifest
    from orchestrator.declared import Cluster

WHY = "before a restore"
_NOTES = "restoring"
_DIGEST = 12
_UNPROVEN = 2
_TURNED = 20 * 3600.0


@dataclass(frozen=True)
class Intended:
    """What a restore would do; `digest` names exactly that."""

    cluster: str
    found: Found
    age: float | None  # seconds; None where nobody wrote it down
    leader: str  # empty where the nodes are empty, or lead nobody
    index: int  # what the leader has committed
    emptied: tuple[str, ...]  # nodes whose data is deleted before
    restarts: bool  # every node, once the snapshot is in
    digest: str


@dataclass(frozen=True)
class Restored:
    """What came of it; `differences` is None where nobody could look inside, for the reason `unseen`."""

    intended: Intended
    seen: tuple[Seen, ...]
    before: Manifest | None
    differences: tuple[Difference, ...] | None
    unseen: str = ""

    @property
    def code(self) -> int:
        """0 when all is back, 1 when something differs, 2 when nobody could look."""
        return _UNPROVEN if self.differences is None else 1 if self.differences else 0


def restore(ground: Ground, snapshot: str, agree: Callable[[Intended], None], *, empty: bool = False) -> Restored:
    """Restore a snapshot into the cluster that runs, or into its empty nodes; `empty` makes them so first."""
    with (
        find.found(ground, snapshot) as found,
        choose.opened(ground.root, ground.declared, ground.environ) as control,
    ):
        intended = _intended(ground, control, found, empty=empty)
        agree(intended)
        if intended.leader:
            files.remove(_notes(ground))  # of a run that was killed before somebody else began these nodes
            before, seen = _replaced(ground, control, intended)
        else:
            before, seen = None, _filled(ground, control, intended)
        differences, unseen = compared(ground, control.cluster, found.manifest)
        return Restored(intended, seen, before, differences, unseen)


def _intended(ground: Ground, control: Control, found: Found, *, empty: bool) -> Intended:
    cluster = control.cluster
    seen = nodes.look(cluster)
    notes = _notes(ground)
    going_on = fresh.under_way(cluster, seen, notes)
    leader = None if going_on else nodes.leader(seen)
    fits.check(found, cluster.seal, next((one.seal_type for one in seen if one.initialised), ""))
    if leader and empty:
        raise Refused(f"{leader.node.name} leads: no node has to be emptied; leave --empty out")
    if leader:
        _check_quorum(cluster, seen)
        ground.place.kept()  # what is there now is saved before
    else:
        _check_empty(cluster, seen, empty=empty or going_on)
    unsaid = (notes / fresh.BEGUN).exists() and not keys.token(notes)  # what an earlier run began holds nothing
    wipes = unsaid if going_on else empty
    emptied = tuple(one.node.name for one in seen if _may_hold(one)) if wipes else ()
    restarts = leader is not None and not _same_keys(found, str(leader.health.document.get("cluster_id")))
    if restarts:
        control.require("stop", "start")
    elif leader is None:
        control.require("stop", "install", "start", *(["wipe"] if wipes else []))
    age = found.manifest.age(now()) if found.manifest else None
    index = (raft.applied(cluster, leader.url) or 0) if leader else 0
    name = leader.node.name if leader else ""
    digest = _digest(cluster.name, found.sha256, bool(leader), *emptied)
    return Intended(cluster.name, found, age, name, index, emptied, restarts, digest)


def _check_quorum(cluster: Cluster, seen: Sequence[Seen]) -> None:
    """A leader that has lost the others calls itself one for a while, and what it takes in is never done."""
    there = [one for one in seen if one.answers and not one.sealed]
    if len(there) < raft.quorum(len(seen)):
        raise Refused(
            f"cluster {cluster.name} is losing its leader: {nodes.told(seen)}. Bring enough nodes back, or look "
            "again in a moment"
        )


def _may_hold(one: Seen) -> bool:
    """A node that does not answer may hold data."""
    return one.initialised or not one.answers


def _check_empty(cluster: Cluster, seen: Sequence[Seen], *, empty: bool) -> None:
    """Without a leader, only nodes that hold nothing can take a snapshot."""
    fresh.check(cluster)
    if not empty and any(map(_may_hold, seen)):
        raise Refused(
            f"cluster {cluster.name} has no leader, and not all of its nodes are empty: {nodes.told(seen)}. Bring back "
            "a node that was lost, if that can be; or make the survivor the whole cluster: `invoke cluster.recover`; "
            "or give up what they hold for the snapshot: copy their data away, and say --empty"
        )


def _digest(*parts: str | bool) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGEST]


def _notes(ground: Ground) -> Path:
    return ground.home / _NOTES


def _replaced(ground: Ground, control: Control, intended: Intended) -> tuple[Manifest | None, tuple[Seen, ...]]:
    """Save what is there now, then put the snapshot in its place."""
    cluster, found = control.cluster, intended.found
    before = take(ground, why=WHY).manifest
    with at_leader(ground, cluster) as session:
        ground.tell(f"restoring {found.file.name} at {session.address}")
        seen = sent.send(cluster, session.address, session.token, found)
    if intended.restarts:
        seen = _restarted(ground, cluster, control)
    return before, seen


def _same_keys(found: Found, cluster_id: str) -> bool:
    """Whether the nodes speak to each other with the keys that are in the snapshot: they turn them every day."""
    was = found.manifest
    return was is not None and was.cluster_id == cluster_id and was.age(now()) < _TURNED


def _restarted(ground: Ground, cluster: Cluster, control: Control) -> tuple[Seen, ...]:
    """Start every node again, the leader last: those that run speak with keys that the snapshot has replaced."""
    leader = nodes.wait_for_leader(cluster)
    there = [one.node for one in nodes.look(cluster) if one.answers]
    for node in sorted(there, key=lambda one: one.name == leader.node.name):
        ground.tell(f"starting {node.name} again")
        control.stop(node)
        control.start(node)
        nodes.wait(cluster, f"{node.name} serves again", partial(_serves, node.name), sent.PATIENCE)
    nodes.wait_for_leader(cluster)
    return nodes.look(cluster)


def _serves(name: str, seen: Sequence[Seen]) -> bool:
    return nodes.leader(seen) is not None and not next(one for one in seen if one.node.name == name).sealed


def _filled(ground: Ground, control: Control, intended: Intended) -> tuple[Seen, ...]:
    with alone(ground):
        if intended.emptied:
            ground.tell(f"emptying {', '.join(node.name for node in control.cluster.nodes)}")
            fresh.renew(control)
        ground.tell(f"restoring {intended.found.file.name} into empty nodes")
        return fresh.fill(control, intended.found, _notes(ground))


def compared(ground: Ground, cluster: Cluster, manifest: Manifest | None) -> tuple[tuple[Difference, ...] | None, str]:
    """What differs from the time of the snapshot, or why nobody could look."""
    if manifest is None:
        return None, "the snapshot has no manifest that says what was in it"
    try:
        with at_leader(ground, cluster) as session:
            return contents.compare(manifest.holds, manifest.loose, contents.look(session.server)), ""
    except StrongroomError as error:
        return None, str(error)
