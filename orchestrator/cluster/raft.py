"""The peers of a cluster as its leader knows them: the truth, as a removed node goes on calling itself healthy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.errors import StrongroomError
from orchestrator.live import probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.declared import Cluster
    from orchestrator.documents import Json
    from orchestrator.live.server import Server

CONFIGURATION = "sys/storage/raft/configuration"
REMOVE = "sys/storage/raft/remove-peer"
AUTOPILOT = "sys/storage/raft/autopilot/state"


@dataclass(frozen=True)
class Peer:
    """A member of the Raft cluster."""

    name: str
    address: str
    voter: bool
    leader: bool


@dataclass(frozen=True)
class Autopilot:
    """What the leader makes of its peers; it looks at them every few seconds only."""

    healthy: bool
    tolerance: int
    unwell: tuple[str, ...]


def peers(server: Server) -> tuple[Peer, ...]:
    """All peers; ask the leader."""
    found = server.read(CONFIGURATION)
    if found is None:
        raise StrongroomError(f"{server.address} has no Raft storage; this command is for clusters that have")
    return members(found)


def members(configuration: Mapping[str, Json]) -> tuple[Peer, ...]:
    """The peers in what the leader answers."""
    return tuple(
        Peer(str(one["node_id"]), str(one["address"]), bool(one["voter"]), bool(one["leader"]))
        for one in configuration["config"]["servers"]
    )


def autopilot(server: Server) -> Autopilot:
    """How the leader finds its peers."""
    found = server.read(AUTOPILOT)
    if found is None:
        raise StrongroomError(f"{server.address} does not tell {AUTOPILOT}; is its storage Raft?")
    servers = found.get("servers") or {}
    unwell = tuple(sorted(name for name, one in servers.items() if not one.get("healthy")))
    return Autopilot(bool(found.get("healthy")), int(found.get("failure_tolerance") or 0), unwell)


def quorum(voters: int) -> int:
    """How many of so many voters it takes.

    >>> [quorum(voters) for voters in (1, 2, 3, 4, 5)]
    [1, 2, 2, 3, 3]
    """
    return voters // 2 + 1


def remove(server: Server, name: str) -> None:
    """Take a peer out, unless it is out already."""
    if any(one.name == name for one in peers(server)):
        server.write(REMOVE, {"server_id": name})


def applied(cluster: Cluster, url: str) -> int | None:
    """The last entry of the log that the node there has taken in, as it says itself; None when it does not say."""
    said = probe.ask(url, "sys/leader", ca=nodes.trusted(cluster))
    found = said.document.get("raft_applied_index")
    return int(found) if said.ok and isinstance(found, int) else None


def undeclared(cluster: Cluster, found: Sequence[Peer]) -> tuple[Peer, ...]:
    """The peers that no file names."""
    return tuple(one for one in found if cluster.node(one.name) is None)
