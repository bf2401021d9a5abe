"""An incident from the first look to the last proof: look, ask, shut, look, revoke, look again, prove."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.incident import close, cut, evidence, hanging, logged, traces
from orchestrator.incident.look import blast
from orchestrator.incident.model import Scope
from orchestrator.incident.prove import prove

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.incident.cut import Cut, Tell
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Blast, Proof, Target
    from orchestrator.incident.preflight import Problem

_SHORT = 12


@dataclass(frozen=True)
class Preview:
    """What a revocation would do; its digest stands for what is shut and by which rules is cut, not for the counts."""

    incident: str
    targets: tuple[Target, ...]
    scope: Scope
    blast: Blast | None  # None where nobody asked to see it
    problems: tuple[Problem, ...]
    digest: str
    owners: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a revocation did."""

    incident: str
    folder: Path
    shut: tuple[str, ...]
    found: Blast
    cut: Cut
    proofs: tuple[Proof, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def code(self) -> int:
        """0 where all is proven dead, 2 where nobody can prove some of it, 1 where something lives."""
        if self.cut.left or any(one.dead is False for one in self.proofs):
            return 1
        return 2 if any(one.dead is None for one in self.proofs) else 0


def digest(cluster: str, targets: Sequence[Target], scope: Scope) -> str:
    """What a person agrees to: the same as long as the same things would be shut and cut by the same rules."""
    said: list[Json] = [
        cluster,
        [[one.sort, one.value, one.namespace] for one in targets],
        [[one.namespace, one.path, dict(one.change)] for one in scope.closes],
        sorted({(one.source, one.namespace) for one in scope.rules}),
        sorted((one.path, one.namespace) for one in scope.listers),
        sorted(one.key for one in scope.singles),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_SHORT]


def preview(
    ground: Ground,
    incident: str,
    cluster: str,
    targets: Sequence[Target],
    scope: Scope,
    problems: Sequence[Problem],
    *,
    counted: bool,
) -> Preview:
    """Everything that can be told without changing anything."""
    found = _blast(ground, scope) if counted else None
    sources = {one.source for one in (found.credentials if found else ())} | {one.title for one in scope.closes}
    owners = {source: owner for source in sources if (owner := ground.owner(source))}
    return Preview(incident, tuple(targets), scope, found, tuple(problems), digest(cluster, targets, scope), owners)


def _blast(ground: Ground, scope: Scope) -> Blast:
    """What lives, with the leases that may hang on it."""
    found = traces.with_orphans(ground, blast(ground, scope))
    places, notes = hanging.below(ground, found.credentials)
    return replace(found, leases=hanging.counted(places), spared=(*found.spared, *notes))


def carry_out(
    ground: Ground, journal: Journal, agreed: Preview, held: Mapping[str, str], tell: Tell, clock: Callable[[], float]
) -> Outcome:
    """Shut, count, revoke, look again, prove: each step in the journal before it is taken."""
    started, scope = clock(), Scope(singles=tuple(evidence.known(journal))) + agreed.scope
    evidence.plant(ground, journal, scope.singles)
    shut = list(dict.fromkeys(one.title for one in close.shut(ground, journal, scope.closes)))
    found = _blast(ground, scope)
    evidence.keep(journal, found, {**agreed.owners, **ground.owners(found.credentials)})
    done = cut.revoke(ground, journal, scope, found, tell)
    journal.write("cut", ended=done.ended, rounds=done.rounds, late=done.late, left=dict(done.left))
    proofs = (*prove(ground, evidence.known(journal), held), *hanging.proofs(found.leases, done.leases))
    journal.write("proved", proofs=[vars(one) for one in proofs])
    outcome = Outcome(
        agreed.incident, journal.path.parent, tuple(shut), found, done, proofs, scope.notes, clock() - started
    )
    logged.collect(ground, journal)
    journal.write("finished", code=outcome.code)
    return outcome
