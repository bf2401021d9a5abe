"""A cluster between two seals: what its steps stand on, and what all of them do to a node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, lead, migration, nodes, raft, shares
from orchestrator.cluster.machines import local
from orchestrator.cluster.migration import Done
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.migration import Move
    from orchestrator.cluster.nodes import Seen
    from orchestrator.cluster.shares import Share
    from orchestrator.declared import Cluster, Node

STARTS = 60.0
ELECTION = 60.0


@dataclass(frozen=True)
class Ground:
    """What the steps work on; `open` gives whoever starts and stops the nodes, so that they run as it is told."""

    root: Path
    declared: Cluster
    environ: Mapping[str, str] = field(repr=False)
    open: Callable[[Cluster], AbstractContextManager[Control]]
    given: tuple[Share, ...]
    snapshot: Callable[[], str]
    tell: Callable[[str], None]

    @property
    def memory(self) -> Path:
        """What cannot be asked of a node: whether it was started with two keys of one kind."""
        return local.folder(self.root, self.declared.name) / "migration.json"

    @property
    def keys(self) -> Path:
        return keys.folder(self.root, self.declared)


@dataclass(frozen=True)
class Look:
    """The nodes at one moment, and what earlier runs did to them."""

    seen: tuple[Seen, ...]
    done: Done


class StuckError(StrongroomError):
    """A node does not come up between the seals."""

    def __init__(self, node: Node, why: str) -> None:
        self.node = node
        super().__init__(why)


def look(ground: Ground, control: Control, asked: Move) -> Look:
    recalled = migration.recall(ground.memory, ground.declared)
    crossed = {node.name for node in control.cluster.nodes if _is(control, node, recalled.crossed)}
    return Look(
        nodes.look(control.cluster), Done(frozenset(crossed) if not asked.told else frozenset(), recalled.settled)
    )


def _is(control: Control, node: Node, recalled: frozenset[str]) -> bool:
    """Whether a node runs with what is declared; where nobody can see that, whether an earlier run started it so."""
    current = control.is_current(node)
    return node.name in recalled if current is None else current


def shares_of_old(ground: Ground, asked: Move, seen: Sequence[Seen]) -> tuple[Share, ...]:
    """The shares of the seal that is left: what is given, else what lies here under its old or its new name."""
    names = [migration.called(one) for one in (asked.old, asked.new)]
    lying = [share for name in dict.fromkeys(names) for share in shares.lying(ground.keys, name)]
    found = ground.given or tuple(lying)
    needed = max((int(one.seal.document.get("t") or 0) for one in seen), default=0)
    if len(found) < max(needed, 1):
        raise Refused(
            f"{needed} {names[0]} shares are needed, and {len(found)} are here "
            f"({shares.FLAG if ground.given else ground.keys}); let the holders give them: --keys prompt, "
            "--keys file:PATH, or `--keys -`"
        )
    return found


def spare(control: Control, one: Seen) -> None:
    """The others must go on without this node."""
    count, seen = len(control.cluster.nodes), nodes.look(control.cluster)
    others = [other for other in seen if other.node.name != one.node.name and other.answers and not other.sealed]
    if count > 1 and len(others) < raft.quorum(count):
        raise StrongroomError(
            f"{one.node.name} is not stopped: only {len(others)} other nodes are open, and it takes "
            f"{raft.quorum(count)} to serve ({nodes.told(seen)}); have them open, and run this again"
        )


def restart(control: Control, node: Node) -> None:
    control.stop(node)
    control.install(node)
    control.start(node)


def wait_started(control: Control, node: Node) -> Seen:
    """The node once it tells how it stands; StuckError with the end of its log when it does not come up."""

    def ready(seen: Sequence[Seen]) -> bool:
        one = of(seen, node)
        return (one.answers and one.initialised) or control.runs(node) is False

    try:
        one = of(nodes.wait(control.cluster, f"{node.name} answers", ready, STARTS), node)
    except StrongroomError as error:
        raise StuckError(node, f"{error}\n{control.why(node)}") from error
    if not one.answers:
        raise StuckError(node, f"{node.name} ends as soon as it is started with the new seal:\n{control.why(node)}")
    return one


def of(seen: Sequence[Seen], node: Node) -> Seen:
    return next(one for one in seen if one.node.name == node.name)


def wait_open(control: Control, node: Node) -> None:
    try:
        nodes.wait(control.cluster, f"{node.name} opens", lambda seen: not of(seen, node).sealed, STARTS)
    except StrongroomError as error:
        raise StuckError(node, f"{error}\n{control.why(node)}") from error


def unseal(ground: Ground, control: Control, node: Node, found: Sequence[Share], *, migrate: bool) -> None:
    """Believe the reply to the last share: what the node says of its health is wrong until the leader has moved."""
    opened = shares.hand(control.cluster, node, found, STARTS, migrate=migrate)
    if opened.sealed:
        where = ", ".join(share.where for share in found)
        raise StuckError(node, f"{node.name}: the shares do not open it ({where}): {opened.why or 'there are too few'}")
    if opened.wrong:
        ground.tell(f"{node.name}: {', '.join(opened.wrong)} is no share of this key")


def count_votes(ground: Ground, seconds: float) -> None:
    """Wait until every node is a healthy voter: a leader steps down only where another can follow."""
    names = {node.name for node in ground.declared.nodes}
    if len(names) == 1:
        return
    with lead.session(ground.root, ground.declared, ground.environ) as led:
        trouble = ["nobody was asked"]

        def ready(_: object) -> bool:
            voters = {peer.name for peer in led.do(raft.peers) if peer.voter}
            trouble[:] = [
                *(f"{name} does not vote" for name in sorted(names - voters)),
                *_unwell(led.do(raft.autopilot)),
            ]
            return not trouble

        try:
            nodes.wait(led.cluster, "every node votes", ready, seconds)
        except StrongroomError as error:
            raise Refused(
                f"cluster {ground.declared.name}: {'; '.join(trouble)}: without every vote the next step could leave "
                "nobody who leads; run this again once they vote"
            ) from error


def _unwell(found: raft.Autopilot) -> list[str]:
    return [f"{name} is not healthy" for name in found.unwell]


def step_down(root: Path, declared: Cluster, environ: Mapping[str, str], leader: Seen) -> None:
    with lead.session(root, declared, environ) as led:
        ca = nodes.trusted(led.cluster)
        said = probe.ask(leader.url, "sys/step-down", ca=ca, token=led.token, method="PUT", body={})
    if not said.ok:
        raise StrongroomError(f"{leader.node.name} does not step down: {said.words}")
