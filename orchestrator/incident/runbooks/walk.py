"""A runbook walked: automatic steps run, manual ones wait for a word, and the incident's journal holds both."""

from __future__ import annotations

import contextlib
import functools
import getpass
import socket
from typing import TYPE_CHECKING

from orchestrator.commands import incident as commands
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import command_line
from orchestrator.incident.journal import FILE, opened, read
from orchestrator.incident.runbooks.automatic import STEPS, UNPROVEN
from orchestrator.incident.runbooks.runbook import Step, placeholders
from orchestrator.incident.runbooks.walker import SKIP, Walk, Walked
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.incident.journal import Line
    from orchestrator.incident.runbooks.runbook import Question, Runbook

_LOOKS = ("preflight", "revoke")


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
    if any(command_line.is_a_token(word) for word in answer.split()):
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
            words = STEPS[step.do](asked, answers)
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


def _filled(asked: Walk, step: Step, answers: Mapping[str, str]) -> Step:
    known = asked.known(answers)

    def fill(text: str) -> str:
        return text.format(**known) if set(placeholders(text)) <= known.keys() else text

    return Step(step.number, step.do, fill(step.say), tuple(map(fill, step.run)), fill(step.see))


def _walked(asked: Walk) -> Walked:
    over = _over(_lines(asked)).values()
    skipped = tuple(f"{one.data['number']}: {one.data['words']}" for one in over if one.data["state"] == "skipped")
    unproven = tuple(one.data["words"].partition(UNPROVEN)[2] for one in over if UNPROVEN in one.data["words"])
    return Walked(asked.incident, asked.folder, len(over), skipped, unproven)
