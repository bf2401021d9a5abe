"""A cluster that lost its quorum for good: one survivor is made the whole of it, and the others join anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes, raft
from orchestrator.cluster.machines import choose
from orchestrator.cluster.seals import SEALS
from orchestrator.errors import Refused
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.machines.local import Local
    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Cluster, Node

PATIENCE = 60.0
_NOTE = "recovering"  # names the survivor, as long as not all is done
_BEFORE = "data.before"  # beside a node's data: what it was
_DIGEST = 12


@dataclass(frozen=True)
class Survivor:
    """A node that may be made the whole cluster; `index` is the last entry that it took in, where it can say."""

    name: str
    state: str
    index: int | None


@dataclass(frozen=True)
class Intended:
    """What a recovery would do."""

    cluster: str
    survivor: Survivor
    others: tuple[Survivor, ...]
    digest: str

    @property
    def ahead(self) -> tuple[Survivor, ...]:
        """The others that have taken in more."""
        mine = self.survivor.index
        return tuple(one for one in self.others if one.index is not None and mine is not None and one.index > mine)


@dataclass(frozen=True)
class Recovered:
    """What came of it; `kept` are the folders with what the nodes had."""

    intended: Intended
    seen: tuple[Seen, ...]
    kept: tuple[Path, ...]


def recover(
    root: Path,
    declared: Cluster,
    environ: Mapping[str, str],
    survivor: str,
    agree: Callable[[Intended], None],
    tell: Callable[[str], None],
) -> Recovered:
    """Make the survivor a cluster of one by Raft's own file, and have the others join it; killed, it goes on."""
    _check_local(declared, survivor)
    with choose.opened_local(root, declared, environ) as control:
        cluster = control.cluster
        node = cluster.node(survivor)
        if node is None:
            names = ", ".join(one.name for one in cluster.nodes)
            raise Refused(f"cluster {declared.name} declares no node {survivor}; it has {names}")
        intended = _intended(control, cluster, node)
        agree(intended)
        if not files.read(control.home / _NOTE):
            for one in cluster.nodes:  # of an earlier recovery
                files.remove(control.at(one) / _BEFORE)
        files.write(control.home / _NOTE, survivor)
        leader = nodes.leader(nodes.look(cluster))
        if leader is None:
            _alone(control, cluster, node, tell)
        tell("the others join")
        for one in cluster.nodes:
            control.start(one)
        auto = SEALS[cluster.seal.kind].auto  # the others have to be unsealed by hand
        seen = nodes.wait(cluster, "every node has joined", partial(_joined, auto=auto), PATIENCE)
        (control.home / _NOTE).unlink()
        kept = tuple(path for one in cluster.nodes if (path := control.at(one) / _BEFORE).exists())
        return Recovered(intended, seen, kept)


def _check_local(declared: Cluster, survivor: str) -> None:
    if declared.run == "local":
        return
    node = declared.node(survivor)
    written = _peers(node) if node else "[...]"
    raise Refused(
        f"the data of cluster {declared.name} is not on this machine: stop every node, copy {declared.raft.path} of "
        f"{survivor}, write {written} into {declared.raft.path}/raft/peers.json there, start it alone, unseal it, then "
        "start the others with empty data folders: they join"
    )


def _peers(node: Node) -> str:
    """Raft's own way to say who votes, read once when the node starts."""
    return json.dumps([{"id": node.name, "address": node.cluster_host_port, "non_voter": False}])


def _intended(control: Local, cluster: Cluster, node: Node) -> Intended:
    seen = nodes.look(cluster)
    leader, going_on = nodes.leader(seen), files.read(control.home / _NOTE)
    if going_on and going_on != node.name:
        raise Refused(f"a recovery with {going_on} as the survivor is under way; finish it: --survivor {going_on}")
    if leader and not going_on:
        raise Refused(f"{leader.node.name} leads cluster {cluster.name}: nothing has to be recovered")
    if not (control.at(node) / "data" / "raft").is_dir():
        raise Refused(f"{node.name} has no data on this machine, so it is no survivor; name one that has")
    known = {one.node.name: Survivor(one.node.name, one.word, raft.applied(cluster, one.url)) for one in seen}
    others = tuple(one for name, one in known.items() if name != node.name)
    digest = hashlib.sha256(json.dumps([cluster.name, node.name]).encode()).hexdigest()[:_DIGEST]
    return Intended(cluster.name, known[node.name], others, digest)


def _alone(control: Local, cluster: Cluster, node: Node, tell: Callable[[str], None]) -> None:
    """Have the survivor lead itself; what it and the others had is kept beside."""
    tell(f"making {node.name} the whole cluster")
    for one in cluster.nodes:
        control.stop(one)
    for one in cluster.nodes:
        if one.name != node.name and (control.at(one) / "data").exists():
            files.remove(control.at(one) / _BEFORE)
            (control.at(one) / "data").rename(control.at(one) / _BEFORE)
    here = control.at(node)
    _copy(here / "data", here / _BEFORE)
    files.write(here / "data" / "raft" / "peers.json", _peers(node))
    control.start(node)
    seen = nodes.wait(cluster, f"{node.name} answers", partial(_answers, node.name), PATIENCE)
    if not SEALS[cluster.seal.kind].auto and any(one.sealed for one in seen if one.node.name == node.name):
        raise Refused(
            f"{node.name} is alone now, and sealed: `invoke cluster.unseal -c {cluster.name}`, and run this again, "
            "which goes on"
        )
    nodes.wait_for_leader(cluster, PATIENCE)


def _copy(data: Path, kept: Path) -> None:
    """Keep what was there, unless an earlier run did; a copy that was cut short has another name."""
    if kept.exists():
        return
    part = kept.with_name(f".{kept.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(data, part)
    part.rename(kept)


def _answers(name: str, seen: Sequence[Seen]) -> bool:
    return next(one for one in seen if one.node.name == name).answers


def _joined(seen: Sequence[Seen], *, auto: bool) -> bool:
    joined = all(one.answers and one.initialised and not (auto and one.sealed) for one in seen)
    return joined and nodes.leader(seen) is not None
