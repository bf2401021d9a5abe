"""Leave a seal for another: node by node, the leader last; killed anywhere, it is finished by running it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster import between, crossing, keys, lead, migration, nodes, rotate, settling
from orchestrator.cluster.between import ELECTION
from orchestrator.cluster.migration import Done, Stand
from orchestrator.cluster.seals import SEALS
from orchestrator.errors import Refused, StrongroomError

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.cluster.between import Ground, Look
    from orchestrator.cluster.migration import Move


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


def planned(ground: Ground) -> Planned:
    """What is to be done; every reason against it, before the first effect."""
    asked = migration.move(ground.declared)
    with ground.open(ground.declared) as control:
        if asked is None:
            left = settling.strays(ground, control, settling.live(ground, control))
            return Planned(ground.declared.name, None, (), tuple(f"start {name} as declared" for name in left))
        look = between.look(ground, control, asked)
    moved = migration.moved(look.seen, asked, look.done)
    if _is_finished(ground, look, asked):
        return Planned(ground.declared.name, asked, _stands(look, asked), ())
    if not moved:
        _ready(ground, look, asked)
    if not moved:
        keys.refuse_rotating(ground.keys, ground.declared.name)
    if not asked.in_place and (not moved or not SEALS[asked.new.kind].auto):
        between.shares_of_old(ground, asked, look.seen)
    return Planned(ground.declared.name, asked, _stands(look, asked), tuple(_steps(look, asked)))


def migrate(ground: Ground) -> Migrated:
    """Carry it out, or finish what an earlier run began."""
    asked = migration.move(ground.declared)
    if asked is None:
        return Migrated(ground.declared.name, None, settling.restart_strays(ground))
    snapshot = ""
    try:
        with ground.open(ground.declared) as control:
            control.prepare()
            look = between.look(ground, control, asked)
            if _is_finished(ground, look, asked):
                return _told(ground, asked, (), "")
            if not migration.moved(look.seen, asked, look.done):
                if is_fresh(look, asked):
                    _try_shares(ground, look, asked)
                    snapshot = ground.snapshot()
                    migration.remember(ground.memory, ground.declared, Done())
                crossing.cross_all(ground, control, asked)
            ground.tell(f"{ground.declared.name} is sealed by {asked.new.kind} now; each node is opened by it alone")
            _rename(ground, asked)
    except between.StuckError as stuck:
        raise StrongroomError(f"{stuck}\n{crossing.put_back(ground, asked, stuck)}") from stuck
    return _told(ground, asked, settling.settle_all(ground, asked), snapshot)


def _try_shares(ground: Ground, look: Look, asked: Move) -> None:
    """Shares that do not fit would leave a node that is sealed."""
    if asked.in_place:
        return
    found, what = between.shares_of_old(ground, asked, look.seen), migration.called(asked.old)
    threshold = max(int(one.seal.document.get("t") or 0) for one in look.seen)
    desk = rotate.Ground(ground.root, ground.declared, ground.environ, found, ground.tell, _refuse)
    with lead.session(ground.root, ground.declared, ground.environ) as led:
        if not rotate.fits(desk, led, what, threshold):
            where = ", ".join(share.where for share in found)
            raise Refused(f"the {what} shares ({where}) do not fit; nothing has changed")


def _refuse(question: str) -> None:
    raise Refused(f"{question} See to that first; no seal is left meanwhile")


def is_fresh(look: Look, asked: Move) -> bool:
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
        crossing = ["save a snapshot"] if is_fresh(look, asked) else []
        crossing += [f"start {name} with both seals, and unseal it with the shares of the old one" for name in standbys]
        crossing += (
            ["have the leader step down, so that one leads that knows the new seal"] if len(look.seen) > 1 else []
        )
    return [*crossing, "start each node with the new seal alone, the leader last, and see it open"]


def _ready(ground: Ground, look: Look, asked: Move) -> None:
    """What must hold before a run begins; one that goes on takes the nodes as they are."""
    if not is_fresh(look, asked):
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
    between.count_votes(ground, ELECTION)


def _rename(ground: Ground, asked: Move) -> None:
    words = [migration.called(one) for one in (asked.old, asked.new)]
    if words[0] != words[1]:
        keys.rename(ground.keys, words[0], words[1])


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
