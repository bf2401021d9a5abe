"""Something done at whichever node leads: found again when it changes, with node and reason when it cannot be."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import choose
from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live import probe, replies
from orchestrator.live.server import Denied, Rejected
from orchestrator.live.session import connect
from orchestrator.live.wire import open_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Cluster
    from orchestrator.live.server import Server
    from orchestrator.live.session import Session

T = TypeVar("T")
SECONDS = 60.0
ELSEWHERE = {
    f"{product}_{name}" for product in ("VAULT", "BAO") for name in ("ADDR", "CACERT", "NAMESPACE", "SKIP_VERIFY")
}


@dataclass(frozen=True)
class Led:
    """A login that is good at every node, and used at the one that leads."""

    cluster: Cluster  # as it is placed
    token: str = field(repr=False)
    who: str

    def do(self, work: Callable[[Server], T], seconds: float = SECONDS) -> T:
        """What `work` gives at the leader; it is repeated when the leader changes, so it must be safe to repeat."""
        return at_leader(self.cluster, self.token, work, seconds)


@dataclass(frozen=True)
class Leader:
    """The node that leads; one that no file names has only an address."""

    name: str
    url: str


def find(cluster: Cluster, seconds: float = SECONDS, other_than: str = "") -> Leader:
    """Who leads, once somebody does whose address is not `other_than`."""
    deadline = time.monotonic() + seconds
    while True:
        seen = nodes.look(cluster)
        found = _among(cluster, seen)
        if found is not None and found.url != other_than:
            return found
        if time.monotonic() > deadline:
            what = f"a node leads{' other than ' + other_than if other_than else ''}"
            raise Unreachable(f"cluster {cluster.name}: {what}: not within {seconds:.0f} s; {nodes.told(seen)}")
        time.sleep(nodes.PAUSE)


def _among(cluster: Cluster, seen: Sequence[Seen]) -> Leader | None:
    """The declared node that leads, else the undeclared one that a standby names."""
    if (active := nodes.leader(seen)) is not None:
        return Leader(active.node.name, active.url)
    declared = {one.url for one in seen}
    for one in seen:
        said = probe.ask(one.url, "sys/leader", ca=nodes.trusted(cluster)) if one.word == "standby" else None
        url = str(said.document.get("leader_address") or "").rstrip("/") if said else ""
        if url and url not in declared:
            return Leader(f"a node at {url} that no file names", url)
    return None


@contextmanager
def session(root: Path, declared: Cluster, environ: Mapping[str, str], seconds: float = SECONDS) -> Iterator[Led]:
    """A login at the leader, by VAULT_TOKEN or as the cluster declares; what it gave is revoked at the end."""
    cluster = choose.awake(root, declared, environ)
    mine = {name: value for name, value in environ.items() if name not in ELSEWHERE}

    def login(server: Server) -> Session:
        return connect(replace(cluster, address=server.address, run="", embedded=False), "", mine, root, waits=False)

    opened = at_leader(cluster, "", login, seconds)
    try:
        yield Led(cluster, opened.token, opened.who)
    finally:
        if opened.owned is not None:
            with suppress(StrongroomError):  # where it cannot be revoked, it ends with its ttl
                at_leader(cluster, opened.token, _give_back, 1.0)


def _give_back(server: Server) -> None:
    with suppress(Denied):
        server.write("auth/token/revoke-self", {})


def at_leader(cluster: Cluster, token: str, work: Callable[[Server], T], seconds: float = SECONDS) -> T:
    """What `work` gives at the leader, through elections, within so many seconds; only what is safe to repeat."""
    deadline = time.monotonic() + seconds
    while True:
        leader = find(cluster, max(deadline - time.monotonic(), 0.0))
        try:
            return work(open_server(leader.url, "", token, verify=nodes.trusted(cluster), waits=False))
        except (Unreachable, Rejected) as error:
            if isinstance(error, Rejected) and not replies.is_transient(error.status, error.words):
                raise
            if time.monotonic() > deadline:
                raise Unreachable(f"cluster {cluster.name}: {leader.name} leads, but {error}") from error
        time.sleep(nodes.PAUSE)
