"""A runbook walked: automatic steps run, manual ones wait for a word, and the incident's journal holds both."""

from __future__ import annotations

import contextlib
import functools
import getpass
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.commands import incident as commands
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import evidence, secret_input
from orchestrator.incident.journal import FILE, opened, read
from orchestrator.incident.run import Outcome
from orchestrator.incident.runbook import NONE, Step, placeholders
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.incident.journal import Line
    from orchestrator.incident.run import Preview
    from orchestrator.incident.runbook import Question, Runbook

DONE, SKIP = "done", "skip because "
TOKEN = "token"  # noqa: S105 - the flag whose value is a way to one
_LOOKS = ("preflight", "revoke")


class Voice(Protocol):
    """Who speaks with the person: a terminal, or a drill that supplies the words."""

    def begins(self, book: Runbook, incident: str, done: int, total: int) -> None: ...

    def answer(self, question: Question) -> str: ...

    def step(self, step: Step) -> None:
        """Say which step comes, its texts filled in."""

    def by_hand(self, step: Step) -> str:
        """`done`, or `skip because ...`; Refused while nobody can say so."""

    def agree(self, preview: Preview) -> None:
        """A person's last word before the cut; Refused when it is no."""

    def preview(self, preview: Preview) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def ended(self, step: Step, words: str) -> None: ...

    def progress(self, word: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Walk:
    """Which runbook is walked, for which incident, against which environment."""

    root: Path
    environ: Mapping[str, str] = field(repr=False)
    book: Runbook
    incident: str
    environment: str
    voice: Voice
    answers: Mapping[str, str] = field(default_factory=dict)  # what the command line says
    yes: str = ""  # the digest that was agreed to
    approve: str = ""  # where a second person's token is to be read
    held: dict[str, list[str]] = field(default_factory=dict, repr=False)  # leaked tokens by the way they were read

    @property
    def folder(self) -> Path:
        return evidence.folder(self.root, self.incident)


@dataclass(frozen=True)
class Walked:
    """A runbook that was walked to its end."""

    incident: str
    folder: Path
    done: int
    skipped: tuple[str, ...]
    unproven: tuple[str, ...]

    @property
    def code(self) -> int:
        return 2 if self.unproven or self.skipped else 0


def steps(book: Runbook) -> tuple[Step, ...]:
    """Those of the file, and last the telling."""
    who = "; ".join(book.tell)
    return (*book.steps, Step(len(book.steps) + 1, say=f"Tell what happened, and what was done: {who}."))


def walk(asked: Walk) -> Walked:
    """Go on from wherever the last walk of this incident ended."""
    _check(asked)
    folder = asked.folder
    files.private_folder(folder.parent)
    files.private_folder(folder)
    with _alone(folder):
        lines = _lines(asked)
        _same_steps(asked, lines)
        every = steps(asked.book)
        over = _over(lines)
        asked.voice.begins(asked.book, asked.incident, len(over), len(every))
        if not any(line.what == "runbook" for line in lines):
            _note(asked, "runbook", digest=asked.book.digest, title=asked.book.title, environment=asked.environment)
        answers = _answered(asked, lines)
        with _sealed(asked):
            for step in every:
                if step.number not in over:
                    _take(asked, step, answers)
            if not any(line.what == "walked" for line in lines):
                found = _walked(asked)
                _note(asked, "walked", done=found.done, skipped=list(found.skipped))
    return _walked(asked)


def _check(asked: Walk) -> None:
    known = {one.name: one for one in asked.book.questions}
    wrong = [f"--set {name}: {asked.book.name} asks for no {name}" for name in asked.answers if name not in known]
    wrong += [why for name, text in asked.answers.items() if name in known and (why := _unfit(known[name], text))]
    if wrong:
        raise StrongroomError("\n".join(wrong))


def _unfit(question: Question, answer: str) -> str:
    if any(secret_input.is_a_token(word) for word in answer.split()):
        return (
            f"{question.name}: this is a token itself, which would stand in the journal; write where it is to be read"
        )
    return question.wrong(answer)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One walk at a time: two people would do each step twice."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.locked(folder.with_name(f".{folder.name}.walk"), 0))
        except StrongroomError as error:
            raise Refused(f"somebody else walks {folder.name} just now; wait till that walk stops") from error
        yield


@contextlib.contextmanager
def _sealed(asked: Walk) -> Iterator[None]:
    """The evidence is sealed however a walk ends; where it stopped, why it stopped is what is told."""
    seal = functools.partial(commands.sealed_again, asked.root, asked.environment, asked.environ, asked.incident)
    try:
        yield
    except BaseException:
        with contextlib.suppress(StrongroomError, OSError):
            seal()
        raise
    seal()


def _lines(asked: Walk) -> list[Line]:
    """What the journal says of this runbook so far."""
    path = asked.folder / FILE
    every = read(path) if path.exists() else ()
    return [line for line in every if line.data.get("runbook") == asked.book.name]


def _same_steps(asked: Walk, lines: list[Line]) -> None:
    begun = next((line.data["digest"] for line in lines if line.what == "runbook"), asked.book.digest)
    if begun != asked.book.digest:
        raise Refused(
            f"runbook {asked.book.name} has other steps than when {asked.incident} was begun: bring the old file back, "
            "or walk the new one as an incident of another name"
        )


def _over(lines: list[Line]) -> dict[int, Line]:
    """The steps that are behind us."""
    ended = ("done", "skipped")
    return {line.data["number"]: line for line in lines if line.what == "step" and line.data["state"] in ended}


def _answered(asked: Walk, lines: list[Line]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        if line.what == "answer":
            found[line.data["name"]] = line.data["answer"]
    for name, text in asked.answers.items():
        if found.get(name, text) != text:
            raise Refused(f"--set {name}={text}: {asked.incident} was begun with {found[name]}")
    return found


def _note(asked: Walk, what: str, **data: Json) -> None:
    with opened(asked.folder) as journal:
        journal.write(what, runbook=asked.book.name, who=_who(), **data)


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _take(asked: Walk, step: Step, answers: dict[str, str]) -> None:
    """One step, in the journal before it is taken and after."""
    _ask(asked, step, answers)
    filled = _filled(asked, step, answers)
    title = filled.do or filled.say
    asked.voice.step(filled)
    if not step.do:
        words = asked.voice.by_hand(filled)
        state = "skipped" if words.startswith(SKIP) else "done"
        _note(asked, "step", number=step.number, title=title, state=state, words=words)
    else:
        _note(asked, "step", number=step.number, title=title, state="begins", words="")
        try:
            words = _AUTOMATIC[step.do](asked, answers)
        except StrongroomError as error:
            _note(asked, "step", number=step.number, title=title, state="failed", words=str(error))
            raise
        _note(asked, "step", number=step.number, title=title, state="done", words=words)
    asked.voice.ended(filled, words)


def _ask(asked: Walk, step: Step, answers: dict[str, str]) -> None:
    """Ask what this step needs to know; where a secret stands is asked anew by each run."""
    texts = [step.say, step.see, *step.run]
    texts += [value for _, value in asked.book.targets] if step.do in _LOOKS else []
    needed = {name for text in texts for name in placeholders(text)}
    for question in asked.book.questions:
        if question.name in needed and question.name not in answers:
            text = asked.answers.get(question.name)
            answer = asked.voice.answer(question) if text is None else text
            if wrong := _unfit(question, answer):
                raise StrongroomError(wrong)
            answers[question.name] = answer
            if question.kind != "secret":
                _note(asked, "answer", name=question.name, answer=answer)


def _known(asked: Walk, answers: Mapping[str, str]) -> dict[str, str]:
    return {**answers, "incident": asked.incident, "environment": asked.environment}


def _filled(asked: Walk, step: Step, answers: Mapping[str, str]) -> Step:
    known = _known(asked, answers)

    def fill(text: str) -> str:
        return text.format(**known) if set(placeholders(text)) <= known.keys() else text

    return Step(step.number, step.do, fill(step.say), tuple(map(fill, step.run)), fill(step.see))


def _targets(asked: Walk, answers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the runbook names as leaked; several in one answer stand with spaces between, and none is none."""
    known = _known(asked, answers)
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
    ways = [value for sort, value in targets if sort == TOKEN]
    for way in ways:
        if way not in asked.held:  # stdin and a person tell it once
            asked.held[way] = secret_input.tokens([way])
    return commands.Asked(
        asked.incident,
        [(sort, value) for sort, value in targets if sort != TOKEN],
        [token for way in ways for token in asked.held[way]],
        close=asked.book.close,
        dry_run=dry_run,
        yes="" if dry_run else asked.yes,
        agree=asked.voice.agree,
        approve=lambda: secret_input.approval(asked.approve),
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
    return said["sort"] == sort and (sort == TOKEN or named == value or named.startswith(f"{value}@.."))


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
    return f"{proven}{_UNPROVEN}{', '.join(unproven)}" if unproven else proven


_UNPROVEN = "; unproven: "


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


_AUTOMATIC: Mapping[str, Callable[[Walk, Mapping[str, str]], str]] = {
    "status": _status,
    "preflight": _preflight,
    "revoke": _revoke,
    "verify": _verify,
    "undo-close": _undo_close,
}


def _walked(asked: Walk) -> Walked:
    over = _over(_lines(asked)).values()
    skipped = tuple(f"{one.data['number']}: {one.data['words']}" for one in over if one.data["state"] == "skipped")
    unproven = tuple(one.data["words"].partition(_UNPROVEN)[2] for one in over if _UNPROVEN in one.data["words"])
    return Walked(asked.incident, asked.folder, len(over), skipped, unproven)
