"""The steps of a runbook that are commands of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands import incident as commands
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import command_line, evidence
from orchestrator.incident.journal import FILE, opened, read
from orchestrator.incident.run import Outcome
from orchestrator.incident.runbooks.runbook import NONE, placeholders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.documents import Json
    from orchestrator.incident.runbooks.runbook import Runbook
    from orchestrator.incident.runbooks.walker import Walk

UNPROVEN = "; unproven: "
_TOKEN = "token"  # noqa: S105 - the flag whose value is a way to one


def _targets(asked: Walk, answers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the runbook names as leaked; several in one answer stand with spaces between, and none is none."""
    known = asked.known(answers)
    secret = {one.name for one in asked.book.questions if one.kind == "secret"}
    found: list[tuple[str, str]] = []
    for sort, value in asked.book.targets:
        names = placeholders(value)
        if secret.intersection(names):
            found += [(sort, way)] if (way := value.format(**known)) else []
        elif all(known[name] for name in names):
            found += [(sort, one) for one in value.format(**known).split()]
    return found


def _leak(asked: Walk, answers: Mapping[str, str], *, dry_run: bool) -> commands.Asked:
    targets = _targets(asked, answers)
    ways = [value for sort, value in targets if sort == _TOKEN]
    for way in ways:
        if way not in asked.held:  # stdin and a person tell it once
            asked.held[way] = command_line.tokens([way])
    return commands.Asked(
        asked.incident,
        [(sort, value) for sort, value in targets if sort != _TOKEN],
        [token for way in ways for token in asked.held[way]],
        close=asked.book.close,
        dry_run=dry_run,
        yes="" if dry_run else asked.yes,
        agree=asked.voice.agree,
        approve=lambda: command_line.approval(asked.approve),
    )


def _preflight(asked: Walk, answers: Mapping[str, str]) -> str:
    found = commands.revoke(
        asked.root,
        asked.environment,
        asked.environ,
        _leak(asked, answers, dry_run=True),
        asked.voice.preview,
        asked.voice.progress,
    )
    if isinstance(found, Outcome):
        raise TypeError(found)
    stops = [one.text for one in found.problems if one.stops]
    if stops:
        raise Refused("\n".join(stops))
    return f"{len(found.blast or ())} to cut; digest {found.digest}"


def _revoke(asked: Walk, answers: Mapping[str, str]) -> str:
    """Cut it; what an earlier run was agreed to and did not finish is finished, and nobody is asked again."""
    voice = asked.voice
    if _was_agreed(asked, _targets(asked, answers)):
        outcome = commands.resume(asked.root, asked.environ, asked.incident, voice.preview, voice.progress)
    else:
        leak = _leak(asked, answers, dry_run=False)
        found = commands.revoke(asked.root, asked.environment, asked.environ, leak, voice.preview, voice.progress)
        if not isinstance(found, Outcome):
            raise TypeError(found)
        outcome = found
    voice.outcome(outcome)
    return _judged(asked.book, outcome)


def _was_agreed(asked: Walk, targets: list[tuple[str, str]]) -> bool:
    """Whether somebody said yes to all of this since the step began first."""
    every = list(read(asked.folder / FILE))
    begun = next(
        line.number
        for line in every
        if line.what == "step" and line.data["title"] == "revoke" and line.data["runbook"] == asked.book.name
    )
    later = (line.data["targets"] for line in every if line.what == "agreed" and line.number > begun)
    return any(all(any(_same(one, said) for said in agreed) for one in targets) for agreed in later)


def _same(target: tuple[str, str], said: Mapping[str, Json]) -> bool:
    """Whether an incident's target is the one of the runbook; a token is known by its accessor there."""
    sort, value = target
    named = str(said["value"])
    return said["sort"] == sort and (sort == _TOKEN or named == value or named.startswith(f"{value}@.."))


def _judged(book: Runbook, outcome: Outcome) -> str:
    """What the cut came to, or why it is not enough."""
    alive = [*outcome.cut.left, *(one.title for one in outcome.proofs if one.dead is False)]
    if alive:
        raise StrongroomError(
            f"this lives on: {', '.join(dict.fromkeys(alive))}; put right what the reasons name, and run this again"
        )
    if book.close != NONE and not outcome.shut:
        raise StrongroomError("nothing was shut, and what leaked gives out more of it: see what the look says")
    unproven = [one.title for one in outcome.proofs if one.dead is None and one.what in book.proofs]
    proven = f"shut {len(outcome.shut)}, cut {outcome.cut.ended}, proven dead in {outcome.seconds:.1f} s"
    return f"{proven}{UNPROVEN}{', '.join(unproven)}" if unproven else proven


def _verify(asked: Walk, _: Mapping[str, str]) -> str:
    path = asked.folder / FILE
    count = sum(1 for _ in read(path))
    with opened(asked.folder) as journal:
        held = len(evidence.known(journal))
    return f"{count} lines and {held} credentials on file: none was changed"


def _undo_close(asked: Walk, _: Mapping[str, str]) -> str:
    opened_again = commands.undo_close(asked.root, asked.environment, asked.environ, asked.incident)
    return f"opened again: {', '.join(opened_again) or 'nothing was shut'}"


def _status(asked: Walk, _: Mapping[str, str]) -> str:
    return commands.reached(asked.root, asked.environment, asked.environ)


STEPS: Mapping[str, Callable[[Walk, Mapping[str, str]], str]] = {
    "status": _status,
    "preflight": _preflight,
    "revoke": _revoke,
    "verify": _verify,
    "undo-close": _undo_close,
}
