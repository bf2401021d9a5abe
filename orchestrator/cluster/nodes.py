"""The nodes of a cluster, as each of them answers for itself without a token."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import Unreachable
from orchestrator.live import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.declared import Cluster, Node
    from orchestrator.live.probe import Said

ACTIVE = 200
PAUSE = 0.05
SILENCE = 15.0
HEALTH = "sys/health"
_BEGUN = "already initialized"  # the server's words


@dataclass(frozen=True)
class Seen:
    """What one node said of itself."""

    node: Node
    url: str
    health: Said  # sys/health: 200 active, 429 standby, 501 not initialised, 503 sealed
    seal: Said  # sys/seal-status

    @property
    def answers(self) -> bool:
        return bool(self.seal.status or self.health.status)

    @property
    def why(self) -> str:
        """Why it gives no answer; empty when it does."""
        return "" if self.answers else self.seal.why or self.health.why

    @property
    def initialised(self) -> bool:
        return bool(self.seal.document.get("initialized") or self.health.document.get("initialized"))

    @property
    def sealed(self) -> bool:
        return bool(self.seal.document.get("sealed", self.health.document.get("sealed", True)))

    @property
    def active(self) -> bool:
        return self.health.status == ACTIVE and not self.health.document.get("standby", True)

    @property
    def version(self) -> str:
        found = self.seal.document.get("version") or self.health.document.get("version") or ""
        return str(found).partition("+")[0]

    @property
    def seal_type(self) -> str:
        return str(self.seal.document.get("type") or "")

    @property
    def word(self) -> str:
        """Its state in a word."""
        if not self.answers:
            return "silent"
        if not self.initialised:
            return "empty"
        return "sealed" if self.sealed else "leader" if self.active else "standby"


def see(cluster: Cluster, node: Node, seconds: float = probe.SECONDS) -> Seen:
    url = cluster.url(node)
    ca = trusted(cluster)
    seal = probe.ask(url, "sys/seal-status", ca=ca, seconds=seconds)
    health = probe.ask(url, HEALTH, ca=ca, seconds=seconds) if seal.status else seal
    return Seen(node, url, health, seal)


def look(cluster: Cluster, seconds: float = probe.SECONDS) -> tuple[Seen, ...]:
    """Every node, asked at the same time."""
    with ThreadPoolExecutor(max(len(cluster.nodes), 1)) as pool:
        return tuple(pool.map(lambda node: see(cluster, node, seconds), cluster.nodes))


def trusted(cluster: Cluster) -> bool | str:
    """Whom to trust when asking a node."""
    return cluster.ca_cert or True


def leader(seen: Sequence[Seen]) -> Seen | None:
    return next((one for one in seen if one.active), None)


def wait(cluster: Cluster, what: str, ready: Callable[[Sequence[Seen]], bool], seconds: float) -> tuple[Seen, ...]:
    """The nodes once they are as wanted; else Unreachable, with what each of them says instead."""
    deadline = time.monotonic() + seconds
    while not ready(seen := look(cluster)):
        if time.monotonic() > deadline:
            raise Unreachable(f"cluster {cluster.name}: {what}: not within {seconds:.0f} s; {told(seen)}")
        time.sleep(PAUSE)
    return seen


def wait_for_leader(cluster: Cluster, seconds: float = 60.0, silence: float = SILENCE) -> Seen:
    """The node that leads, once one does: an election takes a while, but no node of ours starts by itself."""
    until = time.monotonic() + silence

    def leads(seen: Sequence[Seen]) -> bool:
        if cluster.run and not any(one.answers for one in seen) and time.monotonic() > until:
            raise Unreachable(f"cluster {cluster.name} does not run; start it: invoke cluster.up -c {cluster.name}")
        return leader(seen) is not None

    found = leader(wait(cluster, "a node leads", leads, seconds))
    if found is None:
        raise AssertionError(cluster.name)
    return found


def unbegun(cluster: Cluster, node: Node, refusal: Said) -> bool:
    """Whether a refused initialisation left a node as it was: empty, or begun by somebody else."""
    after = see(cluster, node)
    return bool(refusal.status) and after.answers and (not after.initialised or _BEGUN in refusal.words)


def told(seen: Sequence[Seen]) -> str:
    """Each node and its state, for a message."""
    return "; ".join(f"{one.node.name}: {one.why or one.word}" for one in seen)
