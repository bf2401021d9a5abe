"""What was found out about a cluster; an `Unknown` says why a question has no answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.cluster.health.asking import Unknown
    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.raft import Peer
    from orchestrator.declared import Cluster
    from orchestrator.live.probe import Said

OK, BAD, UNKNOWN = "ok", "bad", "unknown"
NOT_RECORDED = "internal error"  # all that the servers say when no audit device takes the request


@dataclass(frozen=True)
class Certificate:
    """What a node shows to whoever connects."""

    days: float  # left; negative once it has expired
    names: tuple[str, ...]
    issuer: str
    trusted: str  # empty when our CA vouches for it, else why not
    protocol: str


@dataclass(frozen=True)
class Room:
    """The file system that a node writes to."""

    free: int
    size: int


@dataclass(frozen=True)
class NodeFacts:
    """One node, as it and its machine answer without a token."""

    seen: Seen
    leader: Said  # sys/leader, with raft's indexes
    recorded: Said  # a request that must be recorded before it is refused
    certificate: Certificate | Unknown | None  # None without TLS
    skew: float | Unknown  # seconds that its clock is ahead of ours
    room: Room | Unknown
    last_words: str = ""  # the end of the log of a node that is gone

    @property
    def name(self) -> str:
        return self.seen.node.name

    @property
    def applied(self) -> int | None:
        found = self.leader.document.get("raft_applied_index")
        return found if isinstance(found, int) else None

    @property
    def follows(self) -> str:
        """The address of the leader that it knows."""
        return str(self.leader.document.get("leader_address") or "")

    @property
    def unrecorded(self) -> bool:
        """Whether it refuses all requests because no audit device takes them."""
        return self.recorded.status == 500 and NOT_RECORDED in self.recorded.words  # noqa: PLR2004 - an HTTP status


@dataclass(frozen=True)
class KeyService:
    """Whoever holds the key of the seal, as it answers from here."""

    address: str
    state: str  # OK, BAD, UNKNOWN
    said: str


@dataclass(frozen=True)
class Device:
    """A live audit device of the leader; `works` is None where that cannot be seen from here."""

    name: str
    type: str
    works: bool | None
    said: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Autopilot:
    """What the leader thinks of its followers."""

    healthy: bool
    failure_tolerance: int
    contact: Mapping[str, str]  # by node: how long ago it was heard of
    healthy_nodes: Mapping[str, bool]


@dataclass(frozen=True)
class Inside:
    """What only a session can ask."""

    who: str
    peers: tuple[Peer, ...] | Unknown
    autopilot: Autopilot | Unknown
    devices: tuple[Device, ...] | Unknown


@dataclass(frozen=True)
class Snapshot:
    """The newest snapshot where the cluster's file says that they are kept."""

    name: str
    age: float


@dataclass(frozen=True)
class Facts:
    """All that was found out of a cluster; `key` is None where people hold the keys."""

    cluster: Cluster
    nodes: tuple[NodeFacts, ...]
    key: KeyService | None
    inside: Inside | Unknown
    lag: Mapping[str, int | Unknown]  # by node: entries it has not applied though it had time to
    snapshot: Snapshot | Unknown | None  # None where none is declared
    begins: str = ""  # the folder in which a beginning that has not ended keeps its root token

    @property
    def leaders(self) -> tuple[NodeFacts, ...]:
        return tuple(one for one in self.nodes if one.seen.active)
