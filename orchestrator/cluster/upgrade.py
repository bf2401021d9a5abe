"""Every node made to run what is declared: one at a time, the leader last, and no further than the first that fails."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from orchestrator.cluster import lead, members, nodes, opening, raft
from orchestrator.cluster.standing import serves, stand
from orchestrator.cluster.upgrade_plan import Plan, Step, planned
from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.cluster.lead import Led
    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.raft import Peer
    from orchestrator.cluster.standing import Ground, Standing
    from orchestrator.declared import Node

T = TypeVar("T")
HEALTHY = 120.0
_LOOK = 0.1


@dataclass(frozen=True)
class Upgraded:
    """What was done, and that every node runs what is declared."""

    plan: Plan
    snapshot: str
    seen: tuple[Seen, ...]


def look(ground: Ground) -> Plan:
    """What an upgrade would do now; whatever speaks against it is Refused."""
    ground.control.prepare()
    seen = nodes.look(ground.cluster)
    current = {node.name: ground.control.is_current(node) for node in ground.cluster.nodes}
    return planned(ground, seen, current, _peers(ground, seen))


def _peers(ground: Ground, seen: Sequence[Seen]) -> tuple[Peer, ...] | None:
    """The peers; None while so few nodes serve that nobody can lead."""
    if sum(map(serves, seen)) < raft.quorum(len(seen)):
        return None
    with ground.session() as led:
        return led.do(raft.peers)


def upgrade(ground: Ground, plan: Plan, save: Callable[[], str]) -> Upgraded:
    """Do what was planned; killed at any instant, the next plan begins where this one ended."""
    missing = [step for step in plan.steps if not step.serves]
    for step in missing:  # nothing else may stop while they are away
        _replace(ground, step)
    rest = [step for step in plan.steps if step.serves]
    snapshot = ""
    if rest:
        snapshot = save()
        ground.tell(f"saved {snapshot}")
    while rest:
        step = _next(ground, rest)
        _one(ground, step)
        rest.remove(step)
    with ground.session() as led:
        _healthy(led)
    return Upgraded(plan, snapshot, nodes.look(ground.cluster))


def _next(ground: Ground, rest: Sequence[Step]) -> Step:
    """The leader last, whoever that is by now."""
    with ground.session() as led:
        leader = stand(led).leader
    return next((step for step in rest if step.node != leader), rest[0])


def _one(ground: Ground, step: Step) -> None:
    """A node that serves, replaced while all others do; a session a node, as a login may be a short one."""
    single = len(ground.cluster.nodes) == 1
    with ground.session() as led:
        now = _healthy(led) if single else _spare(led, step.node)
        if now.leader == step.node and not single:
            ground.tell(f"{step.node} leads: it steps down")
            ground.tell(f"{members.step_down(led).after} leads")
            _spare(led, step.node)
    _replace(ground, step)
    if not single:
        with ground.session() as led:
            _caught_up(led, _node(ground, step.node))


def _replace(ground: Ground, step: Step) -> None:
    node = _node(ground, step.node)
    to = f"{step.before} -> {step.after}" if step.before != step.after else f"{step.before} again"
    ground.tell(f"{node.name}: {to} ({step.why})")
    try:
        if step.restarts:
            ground.control.install(node)
            ground.control.stop(node)
            ground.control.start(node)
        opening.come_back(ground, node)
        _refuse_another_version(ground, node)
    except StrongroomError as error:
        raise StrongroomError(_stopped(ground, node, error)) from error
    ground.tell(f"{node.name} is back")


def _refuse_another_version(ground: Ground, node: Node) -> None:
    found, wanted = nodes.see(ground.cluster, node).version, ground.cluster.version
    if not members.is_version(wanted, found):
        raise StrongroomError(f"{node.name} came back with {found}, not with {wanted}: see what `install` did there")


def _stopped(ground: Ground, node: Node, error: StrongroomError) -> str:
    others = [one for one in nodes.look(ground.cluster) if one.node.name != node.name]
    left = "; ".join(f"{one.node.name} {one.version or '?'}: {one.why or one.word}" for one in others)
    return (
        f"the upgrade of cluster {ground.declared.name} stops at {node.name}: {error}\n"
        f"The other nodes are left as they are ({left or 'there are none'}). "
        "Put that right and run it again: it goes on here"
    )


def _node(ground: Ground, name: str) -> Node:
    return next(node for node in ground.cluster.nodes if node.name == name)


def _spare(led: Led, name: str) -> Standing:
    """The cluster once this node can be done without: all voters there, healthy, and level."""

    def ready() -> tuple[Standing | None, str]:
        now, healthy = _look(led)
        missing = sorted(now.voters - now.alive)
        not_voting = sorted({node.name for node in led.cluster.nodes} - now.voters)
        wrong = [
            (missing, f"{', '.join(missing)} does not serve"),
            (not_voting, f"{', '.join(not_voting)} does not vote"),
            (not now.holds_without(name), f"the quorum would be lost without {name}"),
            (not healthy.healthy, f"autopilot finds {', '.join(healthy.unwell) or 'the cluster'} unwell"),
            (not healthy.tolerance, "autopilot says that no node may fail"),
        ]
        why = "; ".join(words for found, words in wrong if found)
        return (None, why) if why else (now, "")

    found = _until(ready, f"{name} is not stopped while the cluster cannot spare it")
    for node in led.cluster.nodes:
        if node.name != found.leader:
            _caught_up(led, node)
    return found


def _healthy(led: Led) -> Standing:
    def ready() -> tuple[Standing | None, str]:
        now, healthy = _look(led)
        return (now, "") if healthy.healthy else (None, f"autopilot finds {', '.join(healthy.unwell)} unwell")

    return _until(ready, "the cluster is not healthy")


def _look(led: Led) -> tuple[Standing, raft.Autopilot]:
    return stand(led), led.do(raft.autopilot)


def _caught_up(led: Led, node: Node) -> None:
    """Until the node has taken in what the leader had when we asked."""
    target = _index(led)

    def ready() -> tuple[int | None, str]:
        index = raft.applied(led.cluster, led.cluster.url(node))
        behind = index is None or index < target
        return (None, f"{node.name} is at entry {index} of the log, and the leader at {target}") if behind else (1, "")

    _until(ready, f"{node.name} does not catch up")


def _until(ready: Callable[[], tuple[T | None, str]], what: str) -> T:
    """The first answer that is not None; else what was said instead, after the deadline."""
    deadline = time.monotonic() + HEALTHY
    while True:
        found, why = ready()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise StrongroomError(f"{what}: {why}, for {HEALTHY:.0f} s; nothing more is done")
        time.sleep(_LOOK)


def _index(led: Led) -> int:
    found = raft.applied(led.cluster, lead.find(led.cluster).url)
    if found is None:
        raise StrongroomError(f"the leader of cluster {led.cluster.name} does not tell how long its log is")
    return found
