"""Which nodes belong to a cluster and which of them leads: step-down, seal, join, leave."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster import lead, nodes, opening, raft
from orchestrator.cluster.standing import Standing, named, of, serves, stand, stranger
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.cluster.lead import Led
    from orchestrator.cluster.standing import Ground
    from orchestrator.declared import Cluster, Node
    from orchestrator.live.server import Server

VOTES = 120.0  # autopilot makes a node a voter when it was stable for a while
_ELECTION = 30.0
_LOOK = 0.2


@dataclass(frozen=True)
class Handed:
    """A leadership that went from one node to another."""

    before: str
    after: str


@dataclass(frozen=True)
class Leaving:
    """What `leave` will do, for whoever has to agree."""

    node: str
    voters: tuple[str, ...]  # those that remain
    leads: bool
    declared: bool


def step_down(led: Led) -> Handed:
    """Have another node lead."""
    now = stand(led)
    others = (now.voters & now.alive) - {now.leader}
    if not others:
        raise Refused(f"no node but {now.leader} serves and votes, so nobody else can lead; nothing is done")
    first = lead.find(led.cluster)

    def work(server: Server) -> None:
        if server.address == first.url:  # done again at the next leader, it would be one too many
            server.write("sys/step-down", {})

    led.do(work)
    try:
        lead.find(led.cluster, _ELECTION, other_than=first.url)
    except StrongroomError as error:
        raise StrongroomError(f"{now.leader} stepped down, but nobody took over: {error}") from error
    return Handed(now.leader, stand(led).leader)


def join(ground: Ground, name: str) -> Standing:
    """Start a declared node, and wait until it has joined, is unsealed and votes."""
    named(ground.declared, name)
    ground.control.prepare()
    node = named(ground.cluster, name)
    with ground.session() as led:
        seen = of(nodes.look(ground.cluster), node)
        if stand(led).peer(name) is None and seen.initialised:
            raise Refused(_stale(ground.cluster, name))
        _refuse_another_version(ground.cluster, node)
        if not ground.auto and not ground.shares and not serves(seen):
            raise Refused(opening.no_shares(ground, [name]))
        if not seen.answers:
            ground.tell(f"starting {name}")
            ground.control.install(node)
            ground.control.start(node)
        if not serves(seen):
            opening.come_back(ground, node)
            ground.tell(f"{name} has joined and is unsealed; it votes once it was stable for a while")
        try:
            return _votes(led, name)
        except Refused:
            if not seen.answers:  # what we started does not go on with what is stale
                ground.control.stop(node)
            raise


def _stale(cluster: Cluster, name: str) -> str:
    return (
        f"{name} holds data already and is no peer of cluster {cluster.name}, so it would serve what is stale; "
        f"have it stopped and wiped first: invoke cluster.leave -c {cluster.name} --node {name}"
    )


def _refuse_another_version(cluster: Cluster, node: Node) -> None:
    others = [one for one in nodes.look(cluster) if serves(one) and one.node.name != node.name]
    if other := [f"{one.node.name} {one.version}" for one in others if not is_version(cluster.version, one.version)]:
        raise Refused(
            f"{node.name} would join with {cluster.version}, but {', '.join(other)}: "
            f"have all run what is declared first: invoke cluster.upgrade -c {cluster.name}"
        )


def is_version(declared: str, live: str) -> bool:
    """Whether a live version is the declared one, which may leave its last number out.

    >>> is_version("2.7", "2.7.2"), is_version("2.7.2", "2.7.2"), is_version("2.7.2", "2.7.20")
    (True, True, False)
    """
    return f"{live}.".startswith(f"{declared.partition('+')[0]}.")


def _votes(led: Led, name: str) -> Standing:
    """The cluster once this node is a voter that serves; autopilot takes its time."""
    deadline = time.monotonic() + VOTES
    while True:
        now = stand(led)
        if name in now.voters & now.alive:
            return now
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK)
    if now.peer(name) is None:
        raise Refused(_stale(led.cluster, name))
    unwell = ", ".join(led.do(raft.autopilot).unwell) or "nobody"
    raise StrongroomError(f"{name} is a peer, but after {VOTES:.0f} s it does not vote yet; unwell is {unwell}")


def leave(ground: Ground, name: str, agree: Callable[[Leaving], None]) -> Leaving:
    """Take a node out for good: stopped, wiped, and no peer any more; run again after it was killed, it goes on."""
    ground.control.require("stop", "wipe")
    with ground.session() as led:
        now = stand(led)
        node = ground.cluster.node(name) or _known(ground, now, name)
        _refuse_loss(now, name)
        if not led.do(lambda server: _may(server, raft.REMOVE)):
            raise Refused(f"{led.who} may not remove a peer: give it `update` and `sudo` on {raft.REMOVE}")
        rest = tuple(sorted(now.voters - {name}))
        leaving = Leaving(name, rest, now.leader == name, ground.declared.node(name) is not None)
        agree(leaving)
        if leaving.leads:
            ground.tell(f"{name} leads: it steps down first")
            ground.tell(f"{step_down(led).after} leads")
        _take_out(ground, led, node, now)
    return leaving


def _known(ground: Ground, now: Standing, name: str) -> Node:
    """A node that the file does not name, or no longer."""
    if (peer := now.peer(name)) is not None:
        return stranger(peer)
    raise StrongroomError(
        f"{name} is neither a peer of cluster {ground.declared.name} nor declared there; peers are "
        f"{', '.join(sorted(one.name for one in now.peers))}"
    )


def _refuse_loss(now: Standing, name: str) -> None:
    if now.peer(name) is None:
        return
    if now.voters == {name}:
        raise Refused(f"{name} is the only voter: the cluster would be gone. To end it: invoke cluster.down --wipe")
    if name in now.voters and not now.holds_removed(name):
        dead = ", ".join(sorted(now.voters - now.alive - {name}))
        raise Refused(
            f"without {name} the cluster loses its quorum, as {dead} does not serve; "
            "bring that back first, or let that one leave"
        )


def _may(server: Server, path: str) -> bool:
    found = server.write("sys/capabilities-self", {"paths": [path]})
    return not {"update", "root"}.isdisjoint(found.get(path) or found.get("capabilities") or ())


def _take_out(ground: Ground, led: Led, node: Node, now: Standing) -> None:
    """Stopped and empty before it is removed: a removed peer that runs goes on answering with what it had."""
    first = now.holds_without(node.name)  # of two voters none can be stopped before the other is alone
    steps: list[tuple[str, Callable[[], object]]] = [
        (f"stopping {node.name}", lambda: ground.control.stop(node)),
        (f"wiping what {node.name} stored", lambda: ground.control.wipe(node)),
    ]
    remove = (f"removing the peer {node.name}", lambda: led.do(lambda server: raft.remove(server, node.name)))
    for words, step in [*steps, remove] if first else [remove, *steps]:
        ground.tell(words)
        step()
    _prove_gone(ground.cluster, led, node)


def _prove_gone(cluster: Cluster, led: Led, node: Node) -> None:
    """Of one that nobody declares, only the address is known at which the other nodes found it."""
    declared = cluster.node(node.name) is not None
    where = node.host_port if declared else node.cluster_host_port
    if _takes_connections(node.host, node.port if declared else node.cluster_port):
        raise StrongroomError(f"{node.name} was stopped, but something takes connections at {where}; end it there")
    if any(one.name == node.name for one in led.do(raft.peers)):
        raise StrongroomError(f"{node.name} was removed, but the leader counts it among its peers")


def _takes_connections(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), probe.SECONDS):
            return True
    except OSError:
        return False
