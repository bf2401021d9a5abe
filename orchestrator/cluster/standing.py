"""What the nodes commands work on, and how many nodes the cluster can spare."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.cluster import lead, nodes, raft
from orchestrator.cluster.seals import SEALS
from orchestrator.config.words import meant
from orchestrator.declared import Node
from orchestrator.errors import Refused, StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from orchestrator.cluster.lead import Led
    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.raft import Peer
    from orchestrator.cluster.shares import Share
    from orchestrator.declared import Cluster
    from orchestrator.live.server import Server

SECONDS = 60.0
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True)
class Ground:
    """A cluster, whoever starts and stops its nodes, and the shares that were given."""

    root: Path
    declared: Cluster
    environ: Mapping[str, str] = field(repr=False)
    control: Control
    tell: Callable[[str], None]
    shares: tuple[Share, ...] = ()
    seconds: float = SECONDS  # for a node to come back

    @property
    def cluster(self) -> Cluster:
        """As it is placed."""
        return self.control.cluster

    @property
    def auto(self) -> bool:
        """Whether its nodes unseal themselves."""
        return SEALS[self.declared.seal.kind].auto

    def session(self) -> AbstractContextManager[Led]:
        return lead.session(self.root, self.declared, self.environ)

    def restart(self, node: Node) -> None:
        self.control.require("stop", "start")
        self.control.stop(node)
        self.control.start(node)


@dataclass(frozen=True)
class Standing:
    """The peers as the leader has them, and which of them serve."""

    peers: tuple[Peer, ...]
    alive: frozenset[str]

    @property
    def voters(self) -> frozenset[str]:
        return frozenset(one.name for one in self.peers if one.voter)

    @property
    def leader(self) -> str:
        return next((one.name for one in self.peers if one.leader), "")

    def peer(self, name: str) -> Peer | None:
        return next((one for one in self.peers if one.name == name), None)

    def holds_without(self, name: str) -> bool:
        """Whether there is a quorum while this one does not serve."""
        return len((self.voters & self.alive) - {name}) >= raft.quorum(len(self.voters))

    def holds_removed(self, name: str) -> bool:
        """Whether there is a quorum once this one is no peer any more."""
        rest = self.voters - {name}
        return bool(rest) and len(rest & self.alive) >= raft.quorum(len(rest))


def stand(led: Led, seconds: float = lead.SECONDS) -> Standing:
    """How the cluster stands now."""

    def read(server: Server) -> tuple[tuple[Peer, ...], tuple[str, ...]]:
        return raft.peers(server), raft.autopilot(server).unwell

    peers, unwell = led.do(read, seconds)
    serving = {one.node.name for one in nodes.look(led.cluster) if serves(one)}
    strangers = {one.name for one in raft.undeclared(led.cluster, peers)} - set(unwell)
    return Standing(peers, frozenset(serving | strangers))


def serves(seen: Seen) -> bool:
    return seen.answers and seen.initialised and not seen.sealed


def of(seen: Sequence[Seen], node: Node) -> Seen:
    return next(one for one in seen if one.node.name == node.name)


def named(cluster: Cluster, name: str) -> Node:
    """The declared node of that name."""
    found = cluster.node(name)
    if found is None:
        raise StrongroomError(
            f"cluster {cluster.name} declares no node {name}; {meant(name, [one.name for one in cluster.nodes])}"
        )
    return found


def stranger(peer: Peer) -> Node:
    """A node that is a peer and that nobody declares: all that is known of it."""
    if not _NAME.fullmatch(peer.name):
        raise Refused(f"peer {peer.name!r} has no name that a node of ours could have; remove it by hand")
    host, _, port = peer.address.rpartition(":")
    return Node(peer.name, host.strip("[]"), int(port) - 1, int(port))
