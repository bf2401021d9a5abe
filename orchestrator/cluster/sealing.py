"""Nodes sealed by hand: what they hold in memory is gone until somebody opens them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster import lead, nodes, raft
from orchestrator.cluster.standing import named, of, serves, stand
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.cluster.lead import Led
    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.standing import Ground, Standing
    from orchestrator.declared import Cluster, Node

_ELECTION = 20.0
_STANDBY = "standby mode"  # the server's words: it seals only itself, and only while it leads


@dataclass(frozen=True)
class Sealing:
    """What is about to be sealed, and what is left of the quorum."""

    nodes: tuple[str, ...]
    open_after: int
    quorum: int

    @property
    def ends(self) -> bool:
        """Whether nobody serves afterwards."""
        return self.open_after < self.quorum


@dataclass(frozen=True)
class Shut:
    """A node that holds no key any more, and how that came: sealed, restarted (sealed), or stopped."""

    node: str
    how: str
    ok: bool = True


def seal(ground: Ground, name: str, agree: Callable[[Sealing], None]) -> tuple[Shut, ...]:
    """Seal one node; refused where that ends the service of all."""
    node = named(ground.cluster, name)
    with ground.session() as led:
        now = stand(led)
        seen = of(nodes.look(ground.cluster), node)
        if not serves(seen):
            raise Refused(f"{name} is not open: {seen.why or seen.word}; nothing is done")
        sealing = _sealing(now, [name])
        if sealing.ends:
            raise Refused(
                f"without {name}, {sealing.open_after} of {len(now.voters)} voters are open, and it takes "
                f"{sealing.quorum}: nobody would serve. Say --all if that is what you want"
            )
        agree(sealing)
        if _sealed_by_api(led, lead.Leader(name, seen.url)):
            return (Shut(name, "sealed"),)
        if ground.auto:
            raise Refused(
                f"{name} is a standby: the server seals only itself while it leads, and after a restart {name} would "
                f"open itself again. Have it lead (invoke cluster.step-down -c {ground.declared.name}) and seal it "
                "then, seal all of them with --all, or take it out with cluster.leave"
            )
        return (_restarted(ground, node),)


def seal_all(ground: Ground, agree: Callable[[Sealing], None]) -> tuple[Shut, ...]:
    """Seal every node: each in turn as it leads; those that cannot lead any more are restarted or stopped."""
    with ground.session() as led:
        now = stand(led)
        left = {one.url: one.node for one in nodes.look(ground.cluster) if serves(one)}
        agree(_sealing(now, [node.name for node in left.values()]))
        done: list[Shut] = []
        while len(now.voters & now.alive) - len(done) >= raft.quorum(len(now.voters)):
            leader = lead.find(ground.cluster, _ELECTION)
            if _sealed_by_api(led, leader):  # else the leadership went on as we asked
                done.append(Shut(leader.name, "sealed"))
                ground.tell(f"{leader.name} is sealed")
                left.pop(leader.url, None)
        for node in left.values():
            done.append(_shut(ground, node))
            ground.tell(f"{node.name} is {done[-1].how}")
        return tuple(done)


def _shut(ground: Ground, node: Node) -> Shut:
    """One that cannot lead any more; where it cannot be shut, the others are nevertheless."""
    try:
        return _stopped(ground, node) if ground.auto else _restarted(ground, node)
    except StrongroomError as error:
        return Shut(node.name, f"open: {error}", ok=False)


def _sealing(now: Standing, names: Sequence[str]) -> Sealing:
    rest = (now.voters & now.alive) - set(names)
    return Sealing(tuple(names), len(rest), raft.quorum(len(now.voters)))


def _sealed_by_api(led: Led, there: lead.Leader) -> bool:
    """Whether the node there sealed itself; a standby does not, and says so."""
    ca = nodes.trusted(led.cluster)
    said = probe.ask(there.url, "sys/seal", ca=ca, token=led.token, method="PUT", body={})
    deadline = time.monotonic() + _ELECTION
    while said.ok and not _is_sealed(led.cluster, there):
        if time.monotonic() > deadline:
            raise StrongroomError(f"{there.name} said that it seals itself, but it is open still")
        time.sleep(nodes.PAUSE)
    if said.ok:
        return True
    if _STANDBY in said.words or lead.find(led.cluster).url != there.url:
        return False
    raise StrongroomError(f"{there.name}: sys/seal is refused: {said.words}")


def _is_sealed(cluster: Cluster, there: lead.Leader) -> bool:
    said = probe.ask(there.url, "sys/seal-status", ca=nodes.trusted(cluster))
    return bool(said.document.get("sealed"))


def _restarted(ground: Ground, node: Node) -> Shut:
    """Sealed by its restart, as only its holders can open it."""
    ground.restart(node)

    def answers(seen: Sequence[Seen]) -> bool:
        return of(seen, node).answers

    seen = of(nodes.wait(ground.cluster, f"{node.name} answers", answers, ground.seconds), node)
    if not seen.sealed:
        raise StrongroomError(f"{node.name} was restarted to seal it, but it is open")
    return Shut(node.name, "restarted, and so sealed")


def _stopped(ground: Ground, node: Node) -> Shut:
    """A node that would open itself again is stopped: without a leader it cannot be sealed."""
    ground.control.stop(node)
    return Shut(node.name, "stopped, as it would open itself")
