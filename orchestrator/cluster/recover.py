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
_COPIED = "copied"
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
    if declared.run != "local":
        raise Refused(_by_hand(choose.placed(root, declared), survivor))
    with choose.opened_local(root, declared, environ) as control:
        cluster = control.cluster
        node = _named(cluster, survivor)
        intended = _intended(control, cluster, node)
        agree(intended)
        if not _noted(control):
            files.write(control.home / _NOTE, survivor)
        if nodes.leader(nodes.look(cluster)) is None:
            _alone(control, cluster, node, tell)
        tell("the others join")
        for one in cluster.nodes:
            control.start(one)
        auto = SEALS[cluster.seal.kind].auto  # the others have to be unsealed by hand
        seen = nodes.wait(cluster, "every node has joined", partial(_joined, auto=auto), PATIENCE)
        (control.home / _NOTE).unlink()
        kept = tuple(path for one in cluster.nodes for path in sorted(control.at(one).glob(f"{_BEFORE}*")))
        return Recovered(intended, seen, kept)


def _by_hand(cluster: Cluster, survivor: str) -> str:
    """What to do where the data is not in folders of ours."""
    node, seen = _named(cluster, survivor), nodes.look(cluster)
    _refuse_led(cluster, seen)
    path, unseal = cluster.raft.path, "" if SEALS[cluster.seal.kind].auto else ", unseal it"
    came = ", ".join(f"{one.name} {one.state}, index {one.index or 'unknown'}" for one in _known(cluster, seen))
    return (
        f"nobody leads cluster {cluster.name} ({came}), and its data is not in folders of this machine; there:\n"
        "1. stop every node, and see that none of them runs\n"
        f"2. on {survivor}, copy {path} away, and have {path}/raft/peers.json, readable to the server, say\n"
        f"   {_peers(node)}\n"
        f"3. start {survivor} alone{unseal}, and see that it leads: invoke cluster.status -c {cluster.name}\n"
        f"4. on each other node, move {path} away, make it anew and empty, and start the node{unseal}: it joins\n"
        "Never start a node with what you moved away: it would answer with old data"
    )


def _named(cluster: Cluster, name: str) -> Node:
    node = cluster.node(name)
    if node is None:
        names = ", ".join(one.name for one in cluster.nodes)
        raise Refused(f"cluster {cluster.name} declares no node {name}; it has {names}")
    return node


def _peers(node: Node) -> str:
    """Raft's own way to say who votes, read once when the node starts."""
    return json.dumps([{"id": node.name, "address": node.cluster_host_port, "non_voter": False}])


def _noted(control: Local) -> list[str]:
    """The survivor of a recovery that has not come to its end, and whether its data was copied."""
    return (files.read(control.home / _NOTE) or "").split()


def _known(cluster: Cluster, seen: Sequence[Seen]) -> list[Survivor]:
    return [Survivor(one.node.name, one.word, raft.applied(cluster, one.url)) for one in seen]


def _refuse_led(cluster: Cluster, seen: Sequence[Seen]) -> None:
    if leader := nodes.leader(seen):
        raise Refused(f"{leader.node.name} leads cluster {cluster.name}: nothing has to be recovered")


def _intended(control: Local, cluster: Cluster, node: Node) -> Intended:
    seen, going_on = nodes.look(cluster), _noted(control)
    if all(one.word in {"leader", "standby"} for one in seen):
        (control.home / _NOTE).unlink(missing_ok=True)  # whoever was killed had done all but that
        going_on = []
    if not going_on:
        _refuse_led(cluster, seen)
    if going_on and going_on[0] != node.name:
        raise Refused(
            f"a recovery with {going_on[0]} as the survivor did not come to its end: --survivor {going_on[0]}. If that "
            f"is of another time, or {going_on[0]} is lost too, delete {control.home / _NOTE}"
        )
    if not (control.at(node) / "data" / "raft").is_dir():
        raise Refused(f"{node.name} has no data on this machine, so it is no survivor; name one that has")
    known = {one.name: one for one in _known(cluster, seen)}
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
            (control.at(one) / "data").rename(_free(control.at(one)))
    here = control.at(node)
    if _COPIED not in _noted(control):
        _copy(here / "data", _free(here))
        files.write(control.home / _NOTE, f"{node.name} {_COPIED}")
    files.write(here / "data" / "raft" / "peers.json", _peers(node))
    control.start(node)
    seen = nodes.wait(cluster, f"{node.name} answers", partial(_answers, node.name), PATIENCE)
    if not SEALS[cluster.seal.kind].auto and any(one.sealed for one in seen if one.node.name == node.name):
        raise Refused(
            f"{node.name} is alone now, and sealed: `invoke cluster.unseal -c {cluster.name}`, and run this again, "
            "which goes on"
        )
    nodes.wait_for_leader(cluster, PATIENCE)


def _free(here: Path) -> Path:
    """Where to keep what a node had; what is kept there already stays."""
    number, found = 1, here / _BEFORE
    while found.exists():
        number, found = number + 1, here / f"{_BEFORE}-{number + 1}"
    return found


def _copy(data: Path, kept: Path) -> None:
    """A copy that was cut short has another name."""
    part = kept.with_name(f".{_BEFORE}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(data, part)
    part.rename(kept)


def _answers(name: str, seen: Sequence[Seen]) -> bool:
    return next(one for one in seen if one.node.name == name).answers


def _joined(seen: Sequence[Seen], *, auto: bool) -> bool:
    joined = all(one.answers and one.initialised and not (auto and one.sealed) for one in seen)
    return joined and nodes.leader(seen) is not None
