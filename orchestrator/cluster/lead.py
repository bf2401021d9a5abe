"""Something done at whichever node leads: found again when it changes, with node and reason when it cannot be."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import choose
from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live import replies
from orchestrator.live.server import Denied, Rejected
from orchestrator.live.session import connect
from orchestrator.live.wire import open_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.declared import Cluster
    from orchestrator.live.server import Server
    from orchestrator.live.session import Session

T = TypeVar("T")
SECONDS = 60.0
ELSEWHERE = {f"{product}_{name}" for product in ("VAULT", "BAO") for name in ("ADDR", "CACERT", "NAMESPACE")}


@dataclass(frozen=True)
class Led:
    """A login that is good at every node, and used at the one that leads."""

    cluster: Cluster  # as it is placed
    token: str = field(repr=False)
    who: str

    def do(self, work: Callable[[Server], T], seconds: float = SECONDS) -> T:
        """What `work` gives at the leader; it is repeated when the leader changes, so it must be safe to repeat."""
        return at_leader(self.cluster, self.token, work, seconds)


@contextmanager
def session(root: Path, declared: Cluster, environ: Mapping[str, str], seconds: float = SECONDS) -> Iterator[Led]:
    """A login at the leader, by VAULT_TOKEN or as the cluster declares; what it gave is revoked at the end."""
    cluster = choose.placed(root, declared)
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
        leader = nodes.wait_for_leader(cluster, max(deadline - time.monotonic(), 0.0))
        try:
            return work(open_server(leader.url, "", token, verify=nodes.trusted(cluster), waits=False))
        except (Unreachable, Rejected) as error:
            if isinstance(error, Rejected) and not replies.is_transient(error.status, error.words):
                raise
            if time.monotonic() > deadline:
                raise Unreachable(f"cluster {cluster.name}: {leader.node.name} leads, but {error}") from error
        time.sleep(nodes.PAUSE)
