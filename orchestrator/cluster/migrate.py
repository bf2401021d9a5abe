"""Leave a seal for another: node by node, the leader last; killed anywhere, it is finished by running it again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.cluster import keys, lead, migration, nodes, raft, shares
from orchestrator.cluster.machines import local
from orchestrator.cluster.migration import Done, Stand, with_node
from orchestrator.cluster.seals import SEALS
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
    from orchestrator.declared import Cluster, Node, Seal

STARTS = 60.0
ELECTION = 60.0
_ROUNDS = 6  # each node is taken once or twice, and the lead may change in between


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


@dataclass(frozen=True)
class Planned:
    """What a run would do, from where the nodes stand now."""

    cluster: str
    move: Move | None
    stands: tuple[tuple[str, str], ...]  # node, words
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Migrated:
    """What came of it."""

    cluster: str
    move: Move | None
    settled: tuple[str, ...]  # the nodes that this run opened by the new seal alone
    shares: str = ""  # what became of them
    kept: tuple[Path, ...] = ()
    snapshot: str = ""
    left: tuple[str, ...] = ()  # what is left to do for people


class StuckError(StrongroomError):
    """A node does not come up between the seals."""

    def __init__(self, node: Node, why: str) -> None:
        self.node = node
        super().__init__(why)


def planned(ground: Ground) -> Planned:
    """What is to be done; every reason against it, before the first effect."""
    asked = migration.move(ground.declared)
    with ground.open(ground.declared) as control:
        if asked is None:
            left = _strays(ground, control, _live(ground, control))
            return Planned(ground.declared.name, None, (), tuple(f"start {name} as declared" for name in left))
        look = _look(ground, control, asked)
    moved = migration.moved(look.seen, asked, look.done)
    if _is_finished(ground, look, asked):
        return Planned(ground.declared.name, asked, _stands(look, asked), ())
    if not moved:
        _ready(ground, look, asked)
    if not asked.in_place and (not moved or not SEALS[asked.new.kind].auto):
        _shares(ground, asked, look.seen)
    return Planned(ground.declared.name, asked, _stands(look, asked), tuple(_steps(look, asked)))


def migrate(ground: Ground) -> Migrated:
    """Carry it out, or finish what an earlier run began."""
    asked = migration.move(ground.declared)
    if asked is None:
        return Migrated(ground.declared.name, None, _restart_strays(ground))
    snapshot = ""
    try:
        with ground.open(ground.declared) as control:
            control.prepare()
            look = _look(ground, control, asked)
            if _is_finished(ground, look, asked):
                return _told(ground, asked, (), "")
            if not migration.moved(look.seen, asked, look.done):
                if _is_fresh(look, asked):
                    snapshot = ground.snapshot()
                    migration.remember(ground.memory, ground.declared, Done())
                _cross_all(ground, control, asked)
            ground.tell(f"{ground.declared.name} is sealed by {asked.new.kind} now; each node is opened by it alone")
            _rename(ground, asked)
    except StuckError as stuck:
        _put_back(ground, asked, stuck)
        raise StrongroomError(str(stuck)) from stuck
    return _told(ground, asked, _settle_all(ground, asked), snapshot)


# where it stands


def _look(ground: Ground, control: Control, asked: Move) -> Look:
    recalled = migration.recall(ground.memory, ground.declared)
    crossed = {node.name for node in control.cluster.nodes if _is(control, node, recalled.crossed)}
    return Look(
        nodes.look(control.cluster), Done(frozenset(crossed) if not asked.told else frozenset(), recalled.settled)
    )


def _is(control: Control, node: Node, recalled: frozenset[str]) -> bool:
    """Whether a node runs with what is declared; where nobody can see that, whether an earlier run started it so."""
    current = control.is_current(node)
    return node.name in recalled if current is None else current


def _live(ground: Ground, control: Control) -> tuple[Seen, ...]:
    """The nodes of a cluster that names no seal to leave; Refused when it is sealed by another than declared."""
    seen = nodes.look(control.cluster)
    leader, wanted = nodes.leader(seen), ground.declared.seal.kind
    if leader and migration.loaded(leader) != wanted:
        raise Refused(
            f"cluster {ground.declared.name} is sealed by {migration.loaded(leader)}, and declares {wanted}; write "
            f"`migrate_from: {{{migration.loaded(leader)}: ...}}` beside `seal:`, so that it can be left"
        )
    return seen


def _strays(ground: Ground, control: Control, seen: Sequence[Seen]) -> list[str]:
    """The nodes that run with another seal than the declared one, or with what a killed run left them."""
    recalled = migration.recall(ground.memory, ground.declared)
    strays = {one.node.name for one in seen if one.answers and migration.loaded(one) != ground.declared.seal.kind}
    strays |= recalled.crossed - recalled.settled
    return [node.name for node in control.cluster.nodes if node.name in strays]


def _is_fresh(look: Look, asked: Move) -> bool:
    return all(migration.stand(one, asked, look.done) is Stand.OLD for one in look.seen)


def _is_finished(ground: Ground, look: Look, asked: Move) -> bool:
    everybody = {one.node.name for one in look.seen}
    recalled = migration.recall(ground.memory, ground.declared)
    known = asked.new.kind
    return everybody <= recalled.settled and all(
        one.answers and not one.sealed and migration.loaded(one) == known for one in look.seen
    )


def _stands(look: Look, asked: Move) -> tuple[tuple[str, str], ...]:
    return tuple((one.node.name, migration.stand(one, asked, look.done).value) for one in look.seen)


def _steps(look: Look, asked: Move) -> list[str]:
    """The steps that are left, in order."""
    crossing = []
    if not migration.moved(look.seen, asked, look.done):
        left = [one for one in look.seen if migration.stand(one, asked, look.done) not in {Stand.OPENED, Stand.NEW}]
        standbys = [one.node.name for one in left if not one.active or len(look.seen) == 1]
        crossing = ["save a snapshot"] if _is_fresh(look, asked) else []
        crossing += [f"start {name} with both seals, and unseal it with the shares of the old one" for name in standbys]
        crossing += (
            ["have the leader step down, so that one leads that knows the new seal"] if len(look.seen) > 1 else []
        )
    return [*crossing, "start each node with the new seal alone, the leader last, and see it open"]


def _ready(ground: Ground, look: Look, asked: Move) -> None:
    """What must hold before a run begins; one that goes on takes the nodes as they are."""
    if not _is_fresh(look, asked):
        return
    if bad := [one for one in look.seen if not one.answers or one.sealed]:
        raise Refused(f"no seal is left while a node is not open: {nodes.told(bad)}; see invoke cluster.status")
    if nodes.leader(look.seen) is None:
        raise Refused(f"no seal is left while nobody leads: {nodes.told(look.seen)}; see invoke cluster.status")
    wrong = [one for one in look.seen if migration.loaded(one) != asked.old.kind]
    if wrong:
        found = ", ".join(f"{one.node.name}: {migration.loaded(one)}" for one in wrong)
        raise Refused(
            f"`migrate_from:` says {asked.old.kind}, but the nodes are sealed otherwise ({found}); correct it"
        )
    _counted(ground, ELECTION)


def _shares(ground: Ground, asked: Move, seen: Sequence[Seen]) -> tuple[Share, ...]:
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


# crossing: each node with both seals


def _cross_all(ground: Ground, control: Control, asked: Move) -> None:
    for _ in range(_ROUNDS * len(control.cluster.nodes)):
        look = _look(ground, control, asked)
        if migration.moved(look.seen, asked, look.done):
            return
        one = migration.next_to_cross(look.seen, asked, look.done)
        if one is None:
            _pass_on(ground, control, asked, look)
        else:
            _cross(ground, control, asked, look, one)
    raise StrongroomError(
        f"{ground.declared.name} does not come to lead with the new seal: {migration.told(look.seen, asked, look.done)}"
        f"; the data is whole, and the next run goes on. {_why(control, look.seen)}"
    )


def _why(control: Control, seen: Sequence[Seen]) -> str:
    return "\n".join(f"{one.node.name}: {words}" for one in seen if (words := control.why(one.node)))


def _cross(ground: Ground, control: Control, asked: Move, look: Look, one: Seen) -> None:
    """Have one node open that knows both seals."""
    standing = migration.stand(one, asked, look.done)
    if standing is Stand.OLD and not _may_stop(control, one):
        return
    if standing is not Stand.WAITS:
        ground.tell(f"{one.node.name}: starting it with {asked.new.kind} beside {asked.old.kind}")
        _restart(control, one.node)
    found = _wait_started(control, one.node)
    ground.tell(f"{one.node.name}: {'sealed' if found.sealed else 'open'}, {asked.new.kind}")
    if found.sealed and not asked.in_place:
        _unseal(ground, control, one.node, _shares(ground, asked, [found]), migrate=True)
    elif found.sealed:
        _wait_open(control, one.node)
    done = migration.recall(ground.memory, ground.declared)
    done = replace(done, crossed=with_node(done.crossed, one.node))
    migration.remember(ground.memory, ground.declared, done)
    ground.tell(f"{one.node.name}: open, and moves when {'it leads' if len(look.seen) > 1 else 'it has started'}")
    if nodes.leader(nodes.look(control.cluster)):
        _counted(ground, ELECTION)


def _may_stop(control: Control, one: Seen) -> bool:
    """Whether this node may be taken now; not when the lead has just come to it."""
    if len(control.cluster.nodes) > 1:
        if nodes.wait_for_leader(control.cluster, ELECTION).node.name == one.node.name:
            return False
        _spare(control, one)
    return True


def _spare(control: Control, one: Seen) -> None:
    """The others must go on without this node."""
    count, seen = len(control.cluster.nodes), nodes.look(control.cluster)
    others = [other for other in seen if other.node.name != one.node.name and other.answers and not other.sealed]
    if count > 1 and len(others) < raft.quorum(count):
        raise StrongroomError(
            f"{one.node.name} is not stopped: only {len(others)} other nodes are open, and it takes "
            f"{raft.quorum(count)} to serve ({nodes.told(seen)}); have them open, and run this again"
        )


def _restart(control: Control, node: Node) -> None:
    control.stop(node)
    control.install(node)
    control.start(node)


def _wait_started(control: Control, node: Node) -> Seen:
    """The node once it tells how it stands; StuckError with the end of its log when it does not come up."""

    def ready(seen: Sequence[Seen]) -> bool:
        one = _of(seen, node)
        return (one.answers and one.initialised) or control.runs(node) is False

    try:
        one = _of(nodes.wait(control.cluster, f"{node.name} answers", ready, STARTS), node)
    except StrongroomError as error:
        raise StuckError(node, f"{error}\n{control.why(node)}") from error
    if not one.answers:
        raise StuckError(node, f"{node.name} ends as soon as it is started with the new seal:\n{control.why(node)}")
    return one


def _of(seen: Sequence[Seen], node: Node) -> Seen:
    return next(one for one in seen if one.node.name == node.name)


def _wait_open(control: Control, node: Node) -> None:
    try:
        nodes.wait(control.cluster, f"{node.name} opens", lambda seen: not _of(seen, node).sealed, STARTS)
    except StrongroomError as error:
        raise StuckError(node, f"{error}\n{control.why(node)}") from error


def _unseal(ground: Ground, control: Control, node: Node, found: Sequence[Share], *, migrate: bool) -> None:
    """Believe the reply to the last share: what the node says of its health is wrong until the leader has moved."""
    opened = shares.hand(control.cluster, node, found, STARTS, migrate=migrate)
    if opened.sealed:
        where = ", ".join(share.where for share in found)
        raise StuckError(node, f"{node.name}: the shares do not open it ({where}): {opened.why or 'there are too few'}")
    if opened.wrong:
        ground.tell(f"{node.name}: {', '.join(opened.wrong)} is no share of this key")


def _counted(ground: Ground, seconds: float) -> None:
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


def _pass_on(ground: Ground, control: Control, asked: Move, look: Look) -> None:
    """Have the leader step down, unless it is one that has moved already."""
    leader = nodes.wait_for_leader(control.cluster, ELECTION)
    if len(look.seen) == 1 or migration.stand(leader, asked, look.done) is Stand.NEW:
        return
    ground.tell(f"{leader.node.name}: steps down, so that a node leads that knows {asked.new.kind}")
    step_down(ground.root, ground.declared, ground.environ, leader)
    nodes.wait(
        control.cluster,
        "another node leads",
        lambda seen: (now := nodes.leader(seen)) is not None and now.node.name != leader.node.name,
        ELECTION,
    )


def step_down(root: Path, declared: Cluster, environ: Mapping[str, str], leader: Seen) -> None:
    with lead.session(root, declared, environ) as led:
        ca = nodes.trusted(led.cluster)
        said = probe.ask(leader.url, "sys/step-down", ca=ca, token=led.token, method="PUT", body={})
    if not said.ok:
        raise StrongroomError(f"{leader.node.name} does not step down: {said.words}")


def _put_back(ground: Ground, asked: Move, stuck: StuckError) -> None:
    """Give a node that did not come up what it had: nothing has moved yet, so it goes on as before."""
    ground.tell(f"{stuck.node.name}: putting back what it was started with before")
    before = migration.before(ground.declared, asked)
    with ground.open(before) as control:
        _restart(control, stuck.node)
        if not SEALS[asked.old.kind].auto:
            found = _wait_started(control, stuck.node)
            shares.hand(control.cluster, stuck.node, _shares(ground, asked, [found]), STARTS)


# settling: each node with the new seal alone


def _rename(ground: Ground, asked: Move) -> None:
    words = [migration.called(one) for one in (asked.old, asked.new)]
    if words[0] != words[1]:
        keys.rename(ground.keys, words[0], words[1])


def _settle_all(ground: Ground, asked: Move) -> tuple[str, ...]:
    """Start every node with the new seal alone; whoever leads comes last, and steps down first."""
    final, settled = migration.settled(ground.declared), []
    with ground.open(final) as control:
        control.prepare()
        while left := _unsettled(ground, control):
            seen = [one for one in nodes.look(control.cluster) if one.node.name in left]
            one = min(seen, key=lambda one: (one.active, one.answers and migration.loaded(one) != asked.new.kind))
            if one.active and len(control.cluster.nodes) > 1:
                _counted(ground, ELECTION)  # whoever follows it must be able to
            _settle(ground, control, asked, one.node)
            settled.append(one.node.name)
    return tuple(settled)


def _unsettled(ground: Ground, control: Control) -> list[str]:
    recalled = migration.recall(ground.memory, ground.declared).settled
    return [node.name for node in control.cluster.nodes if node.name not in recalled]


def _settle(ground: Ground, control: Control, asked: Move, node: Node) -> None:
    """Start one node with the new seal alone; a leader that is stopped hands the lead over by itself."""
    one = _of(nodes.look(control.cluster), node)
    if one.answers and not one.sealed:
        _spare(control, one)
    ground.tell(f"{node.name}: starting it with {asked.new.kind} alone")
    _restart(control, node)
    found = _wait_started(control, node)
    if not SEALS[asked.new.kind].auto and found.sealed:
        _unseal(ground, control, node, _shares(ground, asked, [found]), migrate=False)
    _wait_settled(ground, control, asked.new, node)
    done = migration.recall(ground.memory, ground.declared)
    migration.remember(ground.memory, ground.declared, replace(done, settled=with_node(done.settled, node)))
    ground.tell(f"{node.name}: open, by {asked.new.kind} alone")


def _wait_settled(ground: Ground, control: Control, seal: Seal, node: Node) -> None:
    def ready(seen: Sequence[Seen]) -> bool:
        one = _of(seen, node)
        return one.seal.ok and not one.sealed and one.seal_type == seal.kind and one.word in {"leader", "standby"}

    try:
        nodes.wait(control.cluster, f"{node.name} is opened by {seal.kind} alone", ready, STARTS)
    except StrongroomError as error:
        raise StrongroomError(
            f"{error}; it has moved, and the other nodes go on: put right what its log says, and run "
            f"invoke cluster.migrate-seal -c {ground.declared.name} again\n{control.why(node)}"
        ) from error


def _restart_strays(ground: Ground) -> tuple[str, ...]:
    """Start as declared whatever runs with another seal: what a run left that was called off."""
    same = migration.Move(ground.declared.seal, ground.declared.seal, in_place=True)
    restarted = []
    with ground.open(ground.declared) as control:
        control.prepare()
        for name in _strays(ground, control, _live(ground, control)):
            _settle(ground, control, same, next(node for node in control.cluster.nodes if node.name == name))
            restarted.append(name)
    return tuple(restarted)


def _told(ground: Ground, asked: Move, settled: tuple[str, ...], snapshot: str) -> Migrated:
    before, now = (migration.called(one) for one in (asked.old, asked.new))
    became = f"the {before} shares are the {now} shares now" if before != now else f"the {now} shares are as they were"
    kept = (*ground.keys.glob(f"{now}-*.key"), *ground.keys.glob(f"{now}-*.pgp"))
    what = "the settings of the previous key" if asked.in_place else "`migrate_from:`"
    installed = "still needs the old key" if asked.in_place else "does not unseal itself"
    file = f"vault-config/clusters/{ground.declared.name}.yaml"
    kept_key = f"key of {asked.old.kind}" if SEALS[asked.old.kind].auto else "old shares"
    left = (
        f"take {what} out of {file}: a node that is installed with it {installed}",
        f"keep the {kept_key} as long as snapshots from before are kept, which nothing else opens",
    )
    return Migrated(ground.declared.name, asked, settled, became, tuple(sorted(kept)), snapshot, left)
