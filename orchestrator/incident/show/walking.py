"""What a runbook says on a terminal of 80 columns, and what it takes for an answer."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.entry import ask
from orchestrator.errors import Refused
from orchestrator.incident.runbooks.runbook import DOES, FOLDER, KINDS, NONE
from orchestrator.incident.runbooks.walker import DONE, SKIP
from orchestrator.incident.show import revocation
from orchestrator.report import err, out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.run import Outcome, Preview
    from orchestrator.incident.runbooks.drill import Drilled
    from orchestrator.incident.runbooks.runbook import Question, Runbook, Step
    from orchestrator.incident.runbooks.walker import Walked

_WIDTH = 78


@dataclass
class Terminal:
    """A person at a terminal; without one, nothing that needs a person goes on."""

    name: str
    incident: str
    done: Sequence[int] = ()  # the manual steps that the command line says are done
    terminal: bool = field(default_factory=sys.stdin.isatty)
    bar: revocation.Progress = field(default_factory=revocation.Progress)
    total: int = 0

    @property
    def again(self) -> str:
        return f"invoke runbook {self.name} --incident {self.incident}"

    def begins(self, book: Runbook, incident: str, done: int, total: int) -> None:
        self.total = total
        err().print(f"{book.title}: {incident}", style="bold")
        err().print(f"the text to read beside it: {FOLDER}/{book.name}.md", style="dim")
        if done:
            err().print(f"{done} of {total} steps are behind us; it goes on with the next", style="dim")

    def answer(self, question: Question) -> str:
        if not self.terminal:
            raise Refused(
                f"{question.name} is not known: {question.text} Say it with: "
                f"{self.again} --set {question.name}={question.example}"
            )
        nothing = "; nothing when there is none" if question.optional else ""
        err().print(_wrapped(f"{question.text} ({KINDS[question.kind]}{nothing})"))
        return self._line(f"{question.name} [such as {question.example}]: ")

    def step(self, step: Step) -> None:
        console = err()
        console.print(f"\nstep {step.number} of {self.total}: {DOES.get(step.do, 'by hand')}", style="bold")
        if step.say:
            console.print(_wrapped(step.say))
        for command in step.run:
            console.print(f"    {command}", style="cyan")
        if step.see:
            console.print(_wrapped(f"When it worked: {step.see}"))

    def by_hand(self, step: Step) -> str:
        if step.number in self.done:
            return f"{DONE} (said with --done {step.number})"
        if not self.terminal:
            raise Refused(f"step {step.number} waits for a person; when it is done: {self.again} --done {step.number}")
        while True:
            said = self._line(f"Type {DONE}, or {SKIP}...: ")
            if said == DONE or (said.startswith(SKIP) and said.removeprefix(SKIP).strip()):
                return said

    def agree(self, preview: Preview) -> None:
        if not self.terminal:
            raise Refused(f"nobody said yes; to go on with exactly this: {self.again} --yes {preview.digest}")
        ask("Cut all of this?")

    def preview(self, preview: Preview) -> None:
        self.bar.clear()
        revocation.show_preview(preview)

    def outcome(self, outcome: Outcome) -> None:
        self.bar.clear()
        revocation.show_outcome(outcome)

    def ended(self, step: Step, words: str) -> None:
        err().print(f"step {step.number}: {words}", style="green")

    def progress(self, word: str, done: int, total: int) -> None:
        self.bar(word, done, total)

    def _line(self, prompt: str) -> str:
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise Refused(f"the terminal is gone; go on with: {self.again}")
        return line.strip()


def _wrapped(text: str) -> str:
    """Broken between words, also where the terminal's width is not known."""
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def show_list(books: Sequence[Runbook]) -> None:
    console = out()
    for book in books:
        console.print(f"{book.name}", style="bold")
        console.print(f"    {book.title}; {_last(book)}")


def _last(book: Runbook) -> str:
    if book.drill == NONE:
        return "it cannot be drilled"
    if not book.drilled:
        return "never drilled"
    return f"last drilled {book.drilled['at']} on {book.drilled['server']}: {book.drilled['result']}"


def list_document(books: Sequence[Runbook]) -> dict[str, Json]:
    return {"runbooks": [{"name": one.name, "title": one.title, "drilled": dict(one.drilled)} for one in books]}


def show_walked(walked: Walked) -> None:
    out().print(f"{walked.incident}: all {walked.done} steps are behind us")
    for one in walked.skipped:
        out().print(f"  ! step {one}", style="yellow")
    for one in walked.unproven:
        out().print(f"  ! unproven: {one}", style="yellow")
    err().print(f"the evidence is in {walked.folder}", style="dim")


def show_drilled(drilled: Drilled) -> None:
    console = out()
    console.print(
        f"{drilled.name} on {drilled.server}: {drilled.result}, in {drilled.seconds:.1f} s",
        style="green" if drilled.passed else "red",
    )
    for one in drilled.counts:
        console.print(f"  {one}")
    for one in drilled.wrong:
        console.print(f"  ! {one}", style="red")
    for one in drilled.not_run:
        console.print(f"  - not run: {one}", style="yellow")
    console.print(f"  the evidence is in {drilled.folder}")


def drilled_document(drilled: Drilled) -> dict[str, Json]:
    return {**vars(drilled), "folder": str(drilled.folder), "result": drilled.result}
