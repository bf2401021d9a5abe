"""Settling: each node is started with the new seal alone, which proves that it opens it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.cluster import between, migration, nodes
from orchestrator.cluster.between import ELECTION, STARTS
from orchestrator.cluster.migration import with_node
from orchestrator.cluster.seals import SEALS
from orchestrator.errors import Refused, StrongroomError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.between import Ground
    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.migration import Move
    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Node, Seal


def settle_all(ground: Ground, asked: Move) -> tuple[str, ...]:
    """Start every node with the new seal alone; whoever leads comes last, and steps down first."""
    final, settled = migration.settled(ground.declared), []
    with ground.open(final) as control:
        control.prepare()
        while left := _unsettled(ground, control):
            seen = [one for one in nodes.look(control.cluster) if one.node.name in left]
            one = min(seen, key=lambda one: (one.active, one.answers and migration.loaded(one) != asked.new.kind))
            if one.active and len(control.cluster.nodes) > 1:
                between.count_votes(ground, ELECTION)  # whoever follows it must be able to
            _settle(ground, control, asked, one.node)
            settled.append(one.node.name)
    return tuple(settled)


def _unsettled(ground: Ground, control: Control) -> list[str]:
    recalled = migration.recall(ground.memory, ground.declared).settled
    return [node.name for node in control.cluster.nodes if node.name not in recalled]


def _settle(ground: Ground, control: Control, asked: Move, node: Node) -> None:
    """Start one node with the new seal alone; a leader that is stopped hands the lead over by itself."""
    one = between.of(nodes.look(control.cluster), node)
    if one.answers and not one.sealed:
        between.spare(control, one)
    ground.tell(f"{node.name}: starting it with {asked.new.kind} alone")
    between.restart(control, node)
    found = between.wait_started(control, node)
    if not SEALS[asked.new.kind].auto and found.sealed:
        between.unseal(ground, control, node, between.shares_of_old(ground, asked, [found]), migrate=False)
    _wait_settled(ground, control, asked.new, node)
    done = migration.recall(ground.memory, ground.declared)
    migration.remember(ground.memory, ground.declared, replace(done, settled=with_node(done.settled, node)))
    ground.tell(f"{node.name}: open, by {asked.new.kind} alone")


def _wait_settled(ground: Ground, control: Control, seal: Seal, node: Node) -> None:
    def ready(seen: Sequence[Seen]) -> bool:
        one = between.of(seen, node)
        return one.seal.ok and not one.sealed and one.seal_type == seal.kind and one.word in {"leader", "standby"}

    try:
        nodes.wait(control.cluster, f"{node.name} is opened by {seal.kind} alone", ready, STARTS)
    except StrongroomError as error:
        raise StrongroomError(
            f"{error}; it has moved, and the other nodes go on: put right what its log says, and run "
            f"invoke cluster.migrate-seal -c {ground.declared.name} again\n{control.why(node)}"
        ) from error


def restart_strays(ground: Ground) -> tuple[str, ...]:
    """Start as declared whatever runs with another seal: what a run left that was called off."""
    same = migration.Move(ground.declared.seal, ground.declared.seal, in_place=True)
    restarted = []
    with ground.open(ground.declared) as control:
        control.prepare()
        for name in strays(ground, control, live(ground, control)):
            _settle(ground, control, same, next(node for node in control.cluster.nodes if node.name == name))
            restarted.append(name)
    return tuple(restarted)


def live(ground: Ground, control: Control) -> tuple[Seen, ...]:
    """The nodes of a cluster that names no seal to leave; Refused when it is sealed by another than declared."""
    seen = nodes.look(control.cluster)
    leader, wanted = nodes.leader(seen), ground.declared.seal.kind
    if leader and migration.loaded(leader) != wanted:
        raise Refused(
            f"cluster {ground.declared.name} is sealed by {migration.loaded(leader)}, and declares {wanted}; write "
            f"`migrate_from: {{{migration.loaded(leader)}: ...}}` beside `seal:`, so that it can be left"
        )
    return seen


def strays(ground: Ground, control: Control, seen: Sequence[Seen]) -> list[str]:
    """The nodes that run with another seal than the declared one, or with what a killed run left them."""
    recalled = migration.recall(ground.memory, ground.declared)
    strays = {one.node.name for one in seen if one.answers and migration.loaded(one) != ground.declared.seal.kind}
    strays |= recalled.crossed - recalled.settled
    return [node.name for node in control.cluster.nodes if node.name in strays]
