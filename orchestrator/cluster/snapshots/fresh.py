"""Empty nodes that are given what a snapshot holds: initialised for the moment, then what they were is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster import keys, nodes
from orchestrator.cluster.seals import SEALS
from orchestrator.cluster.snapshots import sent
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import probe
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.snapshots.find import Found
    from orchestrator.declared import Cluster, Node

PATIENCE = 60.0
BEGUN = "begun"  # stands from before the initialisation until its token is on disk


def check(cluster: Cluster) -> None:
    """Without the same key nobody opens a snapshot, and Shamir's is another one after each initialisation."""
    if not SEALS[cluster.seal.kind].auto:
        raise Refused(
            f"cluster {cluster.name}: empty nodes with a seal {cluster.seal.kind} get new unseal keys when they are "
            "initialised, and cannot open a snapshot that was sealed with the old ones. Where a node survived with "
            "its data, bring that back: `invoke cluster.recover`. A seal that unseals by itself has no such end"
        )


def fill(control: Control, found: Found, notes: Path) -> tuple[Seen, ...]:
    """Have the snapshot's data in nodes that hold none; killed and run again, it goes on. `notes` is a folder.

    One node takes it in alone, and is started again before any other joins: until then it speaks to them with keys that
    the snapshot has replaced, and they hang up ("unrecognized name").
    """
    check(control.cluster)
    control.prepare()
    cluster, notes = control.cluster, files.private_folder(notes)
    if (notes / BEGUN).exists() and not keys.token(notes):  # an earlier run ended without a token: it holds nothing
        renew(control)
        (notes / BEGUN).unlink()
    first, others = cluster.nodes[0], cluster.nodes[1:]
    for node in others:
        control.stop(node)
    if not keys.token(notes):
        _initialise(cluster, first, notes)
    leader = nodes.wait_for_leader(cluster, PATIENCE)
    if _alive(cluster, leader, notes):
        sent.send(cluster, leader.url, keys.token(notes), found)
    control.stop(first)
    for node in cluster.nodes:
        control.install(node)
        control.start(node)
    seen = nodes.wait(cluster, "every node has joined", _open, PATIENCE)
    files.remove(notes)
    return seen


def under_way(cluster: Cluster, seen: Sequence[Seen], notes: Path) -> bool:
    """Whether a run that was killed left these nodes half filled; not when somebody has begun them anew since."""
    leader = nodes.leader(seen)
    if keys.token(notes):
        return leader is None or not _open(seen) or _alive(cluster, leader, notes)
    return (notes / BEGUN).exists() and not any(one.initialised and not _of_the_moment(one) for one in seen)


def _of_the_moment(one: Seen) -> bool:
    """Whether it has as few shares as `_initialise` asks for."""
    return (one.seal.document.get("t"), one.seal.document.get("n")) == (1, 1)


def _alive(cluster: Cluster, leader: Seen, notes: Path) -> bool:
    """Whether the token of the moment lives: once the snapshot is in, it does not."""
    said = probe.ask(leader.url, "auth/token/lookup-self", ca=nodes.trusted(cluster), token=keys.token(notes))
    if not said.ok and said.status != probe.FORBIDDEN:
        raise StrongroomError(f"{leader.node.name}: {said.words}")
    return said.ok


def _initialise(cluster: Cluster, first: Node, notes: Path) -> None:
    """The shares of the moment are thrown away: those of the snapshot's cluster hold again once it is in."""
    files.write(notes / BEGUN, "")
    body = {"recovery_shares": 1, "recovery_threshold": 1}
    said = probe.ask(
        cluster.url(first), "sys/init", ca=nodes.trusted(cluster), method="PUT", body=body, seconds=PATIENCE
    )
    if not said.ok:
        if nodes.unbegun(cluster, first, said):
            (notes / BEGUN).unlink()
        raise StrongroomError(f"{first.name}: sys/init is refused: {said.words}")
    keys.save_token(notes, str(said.document["root_token"]))


def renew(control: Control) -> None:
    """Stop all nodes, delete what they stored, start them empty."""
    control.require("wipe")
    control.prepare()
    cluster = control.cluster
    for node in cluster.nodes:
        control.stop(node)
    for node in cluster.nodes:
        control.wipe(node)
    for node in cluster.nodes:
        control.install(node)
        control.start(node)
    nodes.wait(cluster, "every node answers", lambda seen: all(one.answers for one in seen), PATIENCE)


def _open(seen: Sequence[Seen]) -> bool:
    return all(one.answers and one.initialised and not one.sealed for one in seen)
