"""Every question about a cluster's health, put at once, and the answers that came in time."""

from __future__ import annotations

import datetime as dt
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, nodes
from orchestrator.cluster.health import handshake, inside, key_service
from orchestrator.cluster.health.asking import Unknown, within
from orchestrator.cluster.health.facts import UNKNOWN, Facts, KeyService, NodeFacts, Room, Snapshot
from orchestrator.cluster.lead import ELSEWHERE
from orchestrator.cluster.machines import beside, choose
from orchestrator.cluster.snapshots import ground as snapshots
from orchestrator.errors import Unreachable
from orchestrator.live import probe
from orchestrator.live.session import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from orchestrator.cluster.health.facts import Certificate, Inside
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json
    from orchestrator.live.probe import Said
    from orchestrator.live.session import Session

ONE = 2.0  # seconds for one question
ALL = 4.0  # seconds for all of one round
CATCH_UP = 1.0  # seconds after which a follower that has not applied an entry lags
PAUSE = 0.05
_RECORDED = "auth/token/lookup-self"  # refused without a token, but not before it is in the audit log


@dataclass(frozen=True)
class Ground:
    """What is asked about, and by whom."""

    root: Path
    declared: Cluster
    cluster: Cluster  # as it is placed
    environ: Mapping[str, str] = field(repr=False)

    @property
    def ca(self) -> bool | str:
        return nodes.trusted(self.cluster)


def facts(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Facts:
    """How the cluster is now: one round without a token, one with it."""
    ground = Ground(root, declared, choose.placed(root, declared), environ)
    first = within(ALL, _first_round(ground))
    seen = tuple(_node(node, ground, first) for node in ground.cluster.nodes)
    second = within(ALL, _second_round(ground, seen))
    lag = second["lag"]
    return Facts(
        ground.cluster,
        tuple(replace(one, last_words=_words(second.get(f"end of {one.name}"))) for one in seen),
        _key(first["key", ""]),
        second["inside"],
        lag if not isinstance(lag, Unknown) else {one.name: lag for one in seen},
        second["snapshot"],
        _begins(ground),
    )


def _begins(ground: Ground) -> str:
    place = keys.folder(ground.root, ground.declared)
    return str(place) if keys.is_begun(place) else ""


def _first_round(ground: Ground) -> dict[tuple[str, str], Callable[[], Json]]:
    asked: dict[tuple[str, str], Callable[[], Json]] = {("key", ""): lambda: _ask_key(ground)}
    for node in ground.cluster.nodes:
        for what, question in _OF_A_NODE.items():
            asked[what, node.name] = _bound(question, ground, node)
    return asked


def _bound(question: Callable[[Ground, Node], Json], ground: Ground, node: Node) -> Callable[[], Json]:
    return lambda: question(ground, node)


def _ask_key(ground: Ground) -> KeyService | None:
    return key_service.look(ground.cluster.seal, beside.seal_secrets(ground.root, ground.declared, ground.environ))


def _key(found: KeyService | Unknown | None) -> KeyService | None:
    return KeyService("", UNKNOWN, found.why) if isinstance(found, Unknown) else found


def _see(ground: Ground, node: Node) -> nodes.Seen:
    return nodes.see(ground.cluster, node, ONE)


def _leader(ground: Ground, node: Node) -> Said:
    return probe.ask(ground.cluster.url(node), "sys/leader", ca=ground.ca, seconds=ONE)


def _recorded(ground: Ground, node: Node) -> Said:
    return probe.ask(ground.cluster.url(node), _RECORDED, ca=ground.ca, seconds=ONE)


def _certificate(ground: Ground, node: Node) -> Certificate | None:
    if ground.cluster.listener.tls is None:
        return None
    return handshake.look(ground.cluster.url(node), ground.ca, dt.datetime.now(dt.UTC), ONE)


def _skew(ground: Ground, node: Node) -> float | Unknown:
    """Seconds that the node's clock is ahead; it tells whole ones, so that less than one is none."""
    before = time.time()
    said = probe.ask(ground.cluster.url(node), nodes.HEALTH, ca=ground.ca, seconds=ONE)
    after, told = time.time(), said.document.get("server_time_utc")
    if not isinstance(told, int):
        return Unknown(said.words)
    if told > after:
        return told - after
    return min(told + 1 - before, 0.0)


def _room(ground: Ground, node: Node) -> Room | Unknown:
    here = beside.folder(ground.root, ground.declared, node)
    if here is None:
        return Unknown("its disk is not of this machine")
    return disk(here / ground.cluster.raft.path)


def disk(path: Path) -> Room:
    found = os.statvfs(path)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


_OF_A_NODE: Mapping[str, Callable[[Ground, Node], Json]] = {
    "seen": _see,
    "leader": _leader,
    "recorded": _recorded,
    "certificate": _certificate,
    "skew": _skew,
    "room": _room,
}


def _node(node: Node, ground: Ground, found: Mapping[tuple[str, str], Json]) -> NodeFacts:
    def of(what: str) -> Json:
        return found[what, node.name]

    seen = of("seen")
    if isinstance(seen, Unknown):
        late = probe.Said(0, {}, seen.why)
        seen = nodes.Seen(node, ground.cluster.url(node), late, late)
    leader, recorded = (
        probe.Said(0, {}, one.why) if isinstance(one, Unknown) else one for one in (of("leader"), of("recorded"))
    )
    return NodeFacts(seen, leader, recorded, of("certificate"), of("skew"), of("room"))


def _last_words(ground: Ground, node: Node) -> str:
    return beside.last_words(ground.root, ground.declared, ground.environ, node)


def _words(found: str | Unknown | None) -> str:
    return found if isinstance(found, str) else ""


def _second_round(ground: Ground, seen: Sequence[NodeFacts]) -> dict[str, Callable[[], Json]]:
    return {
        **{f"end of {one.name}": _bound(_last_words, ground, one.seen.node) for one in seen if not one.seen.answers},
        "inside": lambda: _inside(ground, seen),
        "lag": lambda: _lags(ground, seen),
        "snapshot": lambda: _snapshot(ground),
    }


def _inside(ground: Ground, seen: Sequence[NodeFacts]) -> Inside:
    leader = _asked_leader(seen)
    with _session(ground.root, ground.cluster, leader, ground.environ) as session:
        return inside.look(session, beside.folder(ground.root, ground.declared, leader.seen.node))


def session(root: Path, facts: Facts, environ: Mapping[str, str]) -> AbstractContextManager[Session]:
    """A login at the leader that these facts know, without waiting for another."""
    return _session(root, facts.cluster, _asked_leader(facts.nodes), environ)


def _asked_leader(seen: Sequence[NodeFacts]) -> NodeFacts:
    leader = next((one for one in seen if one.seen.active), None)
    if leader is None:
        raise Unreachable("no node leads, and only a leader can be asked")
    if leader.unrecorded:
        raise Unreachable(f"{leader.name} refuses every request, as no audit device takes them")
    return leader


@contextmanager
def _session(root: Path, cluster: Cluster, leader: NodeFacts, environ: Mapping[str, str]) -> Iterator[Session]:
    there = replace(cluster, address=leader.seen.url, run="", embedded=False)
    opened = connect(there, "", {name: value for name, value in environ.items() if name not in ELSEWHERE}, root)
    try:
        yield opened
    finally:
        opened.close()


def _lags(ground: Ground, seen: Sequence[NodeFacts]) -> dict[str, int | Unknown]:
    """What each node has not applied of what the leader had applied before we asked it again."""
    leader = next((one.applied for one in seen if one.seen.active), None)
    return {one.name: _lag(ground, one, leader) for one in seen}


def _lag(ground: Ground, one: NodeFacts, leader: int | None) -> int | Unknown:
    if leader is None:
        return Unknown("no node leads")
    applied, deadline = one.applied, time.monotonic() + CATCH_UP
    while applied is not None and applied < leader and time.monotonic() < deadline:
        time.sleep(PAUSE)
        found = _leader(ground, one.seen.node).document.get("raft_applied_index")
        applied = found if isinstance(found, int) else None
    return Unknown(one.leader.words) if applied is None else max(leader - applied, 0)


def _snapshot(ground: Ground) -> Snapshot | Unknown | None:
    """The newest whole one; Unknown where there is none, as then there is no age either."""
    if ground.declared.snapshots is None:
        return None
    where = snapshots.Ground(ground.root, ground.declared, ground.environ, lambda _: None).place
    newest = next((one.manifest for one in where.kept() if one.whole), None)
    if newest is None:
        return Unknown(f"there is none in {where.where}")
    return Snapshot(newest.name, (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(newest.taken)).total_seconds())
