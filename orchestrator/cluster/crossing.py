"""Crossing: each node is started with both seals, and the leader steps down for one that knows the new seal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.cluster import between, migration, nodes, shares
from orchestrator.cluster.between import ELECTION, STARTS
from orchestrator.cluster.migration import Stand, with_node
from orchestrator.cluster.seals import SEALS
from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.between import Ground, Look
    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.migration import Move
    from orchestrator.cluster.nodes import Seen

_ROUNDS = 6  # each node is taken once or twice, and the lead may change in between


def cross_all(ground: Ground, control: Control, asked: Move) -> None:
    for _ in range(_ROUNDS * len(control.cluster.nodes)):
        look = between.look(ground, control, asked)
        if migration.moved(look.seen, asked, look.done):
            return
        one = migration.next_to_cross(look.seen, asked, look.done)
        if one is None:
            _pass_on(ground, control, asked, look)
        else:
            _cross(ground, control, asked, look, one)
    raise StrongroomError(
        f"{ground.declared.name} does not come to lead with the new seal: {migration.told(look.seen, asked, look.done)}"
        f"; the data is whole, and the next run goes on. {_why(control, look.seen)}"
    )


def _why(control: Control, seen: Sequence[Seen]) -> str:
    return "\n".join(f"{one.node.name}: {words}" for one in seen if (words := control.why(one.node)))


def _cross(ground: Ground, control: Control, asked: Move, look: Look, one: Seen) -> None:
    """Have one node open that knows both seals."""
    standing = migration.stand(one, asked, look.done)
    if standing is Stand.OLD and not _may_stop(control, one):
        return
    if standing is not Stand.WAITS:
        ground.tell(f"{one.node.name}: starting it with {asked.new.kind} beside {asked.old.kind}")
        between.restart(control, one.node)
    found = between.wait_started(control, one.node)
    ground.tell(f"{one.node.name}: {'sealed' if found.sealed else 'open'}, {asked.new.kind}")
    if found.sealed and not asked.in_place:
        between.unseal(ground, control, one.node, between.shares_of_old(ground, asked, [found]), migrate=True)
    elif found.sealed:
        between.wait_open(control, one.node)
    done = migration.recall(ground.memory, ground.declared)
    done = replace(done, crossed=with_node(done.crossed, one.node))
    migration.remember(ground.memory, ground.declared, done)
    ground.tell(f"{one.node.name}: open, and moves when {'it leads' if len(look.seen) > 1 else 'it has started'}")
    if nodes.leader(nodes.look(control.cluster)):
        between.count_votes(ground, ELECTION)


def _may_stop(control: Control, one: Seen) -> bool:
    """Whether this node may be taken now; not when the lead has just come to it."""
    if len(control.cluster.nodes) > 1:
        if nodes.wait_for_leader(control.cluster, ELECTION).node.name == one.node.name:
            return False
        between.spare(control, one)
    return True


def _pass_on(ground: Ground, control: Control, asked: Move, look: Look) -> None:
    """Have the leader step down, unless it is one that has moved already."""
    leader = nodes.wait_for_leader(control.cluster, ELECTION)
    if len(look.seen) == 1 or migration.stand(leader, asked, look.done) is Stand.NEW:
        return
    ground.tell(f"{leader.node.name}: steps down, so that a node leads that knows {asked.new.kind}")
    between.step_down(ground.root, ground.declared, ground.environ, leader)
    nodes.wait(
        control.cluster,
        "another node leads",
        lambda seen: (now := nodes.leader(seen)) is not None and now.node.name != leader.node.name,
        ELECTION,
    )


def put_back(ground: Ground, asked: Move, stuck: between.StuckError) -> str:
    """Give a node that did not come up what it had: nothing has moved yet, so it goes on as before.

    What is left to do for people, where it does not.
    """
    ground.tell(f"{stuck.node.name}: putting back what it was started with before")
    before = migration.before(ground.declared, asked)
    with ground.open(before) as control:
        between.restart(control, stuck.node)
        if not SEALS[asked.old.kind].auto:
            found = between.wait_started(control, stuck.node)
            given = between.shares_of_old(ground, asked, [found])
            if shares.hand(control.cluster, stuck.node, given, STARTS).sealed:
                name = stuck.node.name
                return (
                    f"{name} has its old seal again, and is sealed: take `migrate_from:` out and write the old seal, "
                    f"and let the holders open it: invoke cluster.unseal -c {ground.declared.name} --node {name}"
                )
    return f"{stuck.node.name} has its old seal again"
