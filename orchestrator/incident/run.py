"""An incident from the first look to the last proof: look, ask, shut, look, revoke, look again, prove."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.incident import close, cut, evidence, hanging, logged, stuck, traces, turn, witness
from orchestrator.incident.cut import Cut
from orchestrator.incident.look import blast
from orchestrator.incident.model import Blast, Proof, Scope
from orchestrator.incident.prove import prove
from orchestrator.incident.reissue import Reissue, begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.cut import Tell
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.hooks import Hooks
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Target
    from orchestrator.incident.preflight import Problem
    from orchestrator.incident.reissue import Reissued
    from orchestrator.incident.witness import Witness

_SHORT = 12
_FEW = 5


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
    reissue: bool = False  # and what is replaced afterwards
    caller: str = ""  # who would do it, and on which server


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
    reissued: Reissued | None = None

    @property
    def code(self) -> int:
        """0 where all is proven dead, 2 where nobody can prove some of it, 1 where something lives."""
        if self.cut.left or any(one.dead is False for one in self.proofs):
            return 1
        return 2 if any(one.dead is None for one in self.proofs) else 0


def digest(cluster: str, targets: Sequence[Target], scope: Scope, *, reissue: bool = False, between: str = "") -> str:
    """What a person agrees to: the same as long as the same things would be shut and cut by the same rules."""
    said: list[Json] = [
        cluster,
        [[one.sort, one.value, one.namespace] for one in targets],
        [[one.namespace, one.path, dict(one.change)] for one in scope.closes],
        sorted({(one.source, one.namespace) for one in scope.rules}),
        sorted((one.path, one.namespace) for one in scope.listers),
        sorted(one.key for one in scope.singles),
        *([sorted(one.key for one in scope.turns if one.ends)] if any(one.ends for one in scope.turns) else []),
        *(["reissue"] if reissue else []),
        *([f"between {between}"] if between else []),
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
    reissue: bool = False,
    between: str = "",
) -> Preview:
    """Everything that can be told without changing anything."""
    found = _blast(ground, scope) if counted else None
    sources = {one.source for one in (found.credentials if found else ())}
    sources |= {one.title for one in scope.closes} | {one.title for one in scope.turns}
    owners = {source: owner for source in sources if (owner := ground.owner(source))}
    agreed = digest(cluster, targets, scope, reissue=reissue, between=between)
    return Preview(incident, tuple(targets), scope, found, tuple(problems), agreed, owners, reissue)


def _blast(ground: Ground, scope: Scope, shut: Sequence[Spec] = ()) -> Blast:
    """What lives, with the leases that may hang on it; `shut` is what was recorded of what is shut by now."""
    found = traces.with_orphans(ground, blast(ground, scope))
    places, notes = hanging.below(ground, found.credentials, shut)
    return replace(found, leases=hanging.counted(places), spared=(*found.spared, *notes))


def carry_out(
    ground: Ground,
    journal: Journal,
    agreed: Preview,
    held: Mapping[str, str],
    tell: Tell,
    clock: Callable[[], float],
    hooks: Hooks | None = None,
) -> Outcome:
    """Shut, count, revoke, look again, prove, and with hooks replace: each step in the journal before it is taken."""
    started = clock()
    cut_before = begun(journal)
    outcome = _ended(journal, agreed) if cut_before else _carried_out(ground, journal, agreed, held, tell)
    if hooks is not None:
        outcome = _replaced(outcome, Reissue(ground, journal, agreed.scope, hooks))
    logged.collect(ground, journal)
    journal.write("finished", code=outcome.code)
    return replace(outcome, seconds=clock() - started)


def _carried_out(ground: Ground, journal: Journal, agreed: Preview, held: Mapping[str, str], tell: Tell) -> Outcome:
    scope = Scope(singles=tuple(evidence.known(journal))) + agreed.scope
    evidence.plant(ground, journal, scope.singles)
    shut = tuple(dict.fromkeys(one.title for one in close.shut(ground, journal, scope.closes)))
    found = _blast(ground, scope, [line.data for line in journal.of("closing")])
    evidence.keep(journal, found, {**agreed.owners, **ground.owners(found.credentials)})
    asked = (*scope.accounts, *witness.hanging(ground, found.leases))
    with witness.called(ground, journal, asked) as witnesses:
        done, turned = _cut(ground, journal, scope, found, tell, witnesses)
        of_systems = [proof for one in witnesses for proof in one.after(done.left)]
    hung = hanging.proofs(found.leases, done.leases, done.unseen)
    tried = prove(ground, evidence.known(journal), held)
    proofs = (*tried, *hung, *turned, *of_systems, *scope.unproven, *_slipped(done))
    journal.write("proved", proofs=[vars(one) for one in proofs])
    return Outcome(agreed.incident, journal.path.parent, shut, found, done, proofs, scope.notes, 0.0)


def _slipped(done: Cut) -> Iterator[Proof]:
    """Whose the tokens are that were made meanwhile, nobody can say without a log."""
    if done.slipped:
        count = len(done.slipped)
        title = f"{count} token{'s' * (count > 1)} made meanwhile: {', '.join(done.slipped[:_FEW])}"
        said = "by other tokens; whether by one that was cut only an audit log tells: --audit-log FILE"
        yield Proof("token", title, dead=None, said=said, count=count)


def _ended(journal: Journal, agreed: Preview) -> Outcome:
    """What an earlier run cut and proved, when all that is left is to replace it."""
    known, said, proved = evidence.known(journal), journal.last("cut"), journal.last("proved")
    data = said.data if said else {}
    done = Cut(data.get("ended", 0), data.get("rounds", 0), data.get("left", {}), data.get("late", 0))
    proofs = tuple(Proof(**one) for one in proved.data["proofs"]) if proved else ()
    found = Blast(tuple(known), 0, 0)
    return Outcome(agreed.incident, journal.path.parent, (), found, done, proofs, agreed.scope.notes, 0.0)


def _replaced(outcome: Outcome, reissue: Reissue) -> Outcome:
    if outcome.code == 1:
        note = "nothing is replaced while something of the leak lives: end that, then resume the incident"
        return replace(outcome, notes=(*outcome.notes, note))
    return replace(outcome, reissued=reissue.run())


def _cut(
    ground: Ground, journal: Journal, scope: Scope, found: Blast, tell: Tell, witnesses: Sequence[Witness]
) -> tuple[Cut, list[Proof]]:
    """Revoke what can be revoked, turn what can only be turned; what lives on, with reasons that say what to do."""
    done = cut.revoke(ground, journal, scope, found, tell)
    turned = list(turn.turn(ground, journal, [one for one in scope.turns if one.ends]))
    left = {**stuck.explained(ground, done.left), **{one.title: one.refused for one in turned if one.refused}}
    for one in witnesses:
        left = one.explained(left)
    journal.write("cut", ended=done.ended, rounds=done.rounds, late=done.late, left=left)
    return replace(done, left=left), [one.proof() for one in turned if not one.refused]
