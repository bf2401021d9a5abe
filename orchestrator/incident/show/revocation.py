"""What is printed of a revocation: the answer on stdout, for people or as JSON; all else on stderr."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.incident.model import NOBODY, STATES
from orchestrator.report import err, issued_document, out, show_issued

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from orchestrator.documents import Json
    from orchestrator.incident.model import Blast, Turn
    from orchestrator.incident.reissue import Reissued
    from orchestrator.incident.run import Outcome, Preview

_REVOKED_A_SECOND = 400
_OFTEN = 0.1
_COLOURS = {True: "green", False: "red", None: "yellow"}


def show_aside(preview: Preview) -> None:
    """The same on stderr, where stdout is for a program."""
    show_preview(preview, err())


def show_preview(preview: Preview, console: Console | None = None) -> None:
    """What leaked, what would be shut, and what would be cut."""
    console = console or out()
    console.print(f"{preview.incident}: {', '.join(str(one) for one in preview.targets)}", style="bold")
    console.print(f"as {preview.caller}", style="dim")
    for problem in preview.problems:
        err().print(
            f"{'stops: ' if problem.stops else 'warning: '}{problem.text}", style="red" if problem.stops else "yellow"
        )
    for close in preview.scope.closes:
        console.print(f"  ⊘ {close.title}: {close.stops}", style="red")
    for turn in _turns(preview):
        console.print(f"  ↻ {turn.title}: a new {turn.what}, which stops {turn.stops}", style="red")
    if preview.blast is not None:
        _show_blast(preview.blast, preview, console)
    for turn in preview.scope.turns if preview.reissue else ():
        if not turn.ends:
            console.print(f"  + {turn.title}: a new {turn.what} afterwards", style="green")
    for note in preview.scope.notes:
        console.print(f"  ! {note}", style="yellow")
    console.print(f"digest {preview.digest}: --yes {preview.digest} agrees to this without being asked", style="dim")


def _turns(preview: Preview) -> list[Turn]:
    return [one for one in preview.scope.turns if one.ends]


def _show_blast(found: Blast, preview: Preview, console: Console) -> None:
    table = Table("source", "what", box=None, pad_edge=False, header_style="dim")
    table.add_column("alive", justify="right")
    table.add_column("owner")
    for (source, what), count in sorted(Counter((one.source, one.what) for one in found.credentials).items()):
        table.add_row(source, what, str(count), preview.owners.get(source, NOBODY))
    if found.credentials:
        console.print(table)
    looked = f"{found.tokens} tokens were looked at with {found.requests} requests in {found.seconds:.1f} s"
    console.print(f"{len(found)} to cut; {looked}; cutting takes about {_expected(found):.0f} s")
    for namespace, path, count in found.leases:
        where = f"{namespace}/{path}" if namespace else path
        console.print(f"  ~ {count} leases of {where}: those that hang on a cut token end with it")
    for one in found.spared:
        console.print(f"  = spared {one}")


def _expected(found: Blast) -> float:
    """Seconds till all is proven dead: each is revoked (a write to disk), and all is looked at twice again."""
    return 1 + len(found) / _REVOKED_A_SECOND + 2 * found.seconds


def preview_document(preview: Preview) -> dict[str, Json]:
    found = preview.blast
    return {
        "incident": preview.incident,
        "caller": preview.caller,
        "targets": [str(one) for one in preview.targets],
        "shut": [{"object": one.title, "stops": one.stops} for one in preview.scope.closes],
        "turned": [{"object": one.title, "what": one.what, "stops": one.stops} for one in _turns(preview)],
        "alive": [_credential(one, preview) for one in found.credentials] if found is not None else None,
        "tokens_looked_at": found.tokens if found is not None else None,
        "requests": found.requests if found is not None else None,
        "leases_that_may_hang_on_them": [list(one) for one in found.leases] if found is not None else [],
        "spared": list(found.spared) if found is not None else [],
        "notes": list(preview.scope.notes),
        "problems": [vars(one) for one in preview.problems],
        "digest": preview.digest,
    }


def _credential(one: Json, preview: Preview) -> dict[str, Json]:
    owner = preview.owners.get(one.source)
    return {
        "what": one.what,
        "id": one.id,
        "namespace": one.namespace,
        "source": one.source,
        "owner": owner,
        **one.facts,
    }


def show_outcome(outcome: Outcome) -> None:
    console = out()
    for title in outcome.shut:
        console.print(f"shut {title}")
    late = f", {outcome.cut.late} of them made meanwhile" if outcome.cut.late else ""
    console.print(f"cut {outcome.cut.ended}{late}, in {outcome.seconds:.1f} s")
    for what, reason in outcome.cut.left.items():
        console.print(f"  ! {what} lives: {reason}", style="red")
    table = Table("", "what", "proof", box=None, pad_edge=False, header_style="dim")
    for proof in outcome.proofs:
        table.add_row(STATES[proof.dead], proof.title, proof.said, style=_COLOURS[proof.dead])
    console.print(table)
    if outcome.reissued:
        _show_reissued(outcome.reissued)
    for note in outcome.notes:
        console.print(f"  ! {note}", style="yellow")
    err().print(f"the evidence is in {outcome.folder}", style="dim")


def _show_reissued(found: Reissued) -> None:
    console = out()
    for title in found.opened:
        console.print(f"opened {title}")
    for title in found.turned:
        console.print(f"turned {title}")
    for called in found.called:
        console.print(f"called the hook of {called.title}: {called.went}", style="green" if not called.code else "red")
    for new in found.handed:
        console.print(f"new {new.what} of {new.title}, wrapped:")
        show_issued(new.issued)
    for one in found.by_hand:
        console.print(f"  by hand: {one.title} ({one.owner}): {one.what}", style="yellow")


def _reissued_document(found: Reissued) -> dict[str, Json]:
    return {
        "opened": list(found.opened),
        "turned": list(found.turned),
        "handed": [{"object": one.title, "what": one.what, **issued_document(one.issued)} for one in found.handed],
        "called": [
            {"object": one.title, "code": one.code, "seconds": one.seconds, "why": one.why} for one in found.called
        ],
        "by_hand": [vars(one) for one in found.by_hand],
    }


def outcome_document(outcome: Outcome) -> dict[str, Json]:
    return {
        "incident": outcome.incident,
        "evidence": str(outcome.folder),
        "shut": list(outcome.shut),
        "found": len(outcome.found),
        "cut": outcome.cut.ended,
        "made_meanwhile": outcome.cut.late,
        "left": dict(outcome.cut.left),
        "proofs": [vars(one) for one in outcome.proofs],
        "reissued": _reissued_document(outcome.reissued) if outcome.reissued else None,
        "notes": list(outcome.notes),
        "seconds": round(outcome.seconds, 3),
    }


@dataclass
class Progress:
    """One line on a terminal: how many, how fast, how long still."""

    terminal: bool = field(default_factory=sys.stderr.isatty)
    clock: Callable[[], float] = time.monotonic
    began: float = 0.0
    shown: float = 0.0

    def __call__(self, word: str, done: int, total: int) -> None:
        now = self.clock()
        self.began = now if done <= 1 else self.began
        if self.terminal and (now - self.shown > _OFTEN or done == total):
            self.shown = now
            rate = done / max(now - self.began, 0.001)
            left = (total - done) / rate if done else 0
            sys.stderr.write(f"\r\x1b[K{word} {done}/{total}, {rate:.0f} a second, {left:.0f} s to go")
            sys.stderr.flush()

    def clear(self) -> None:
        if self.terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
