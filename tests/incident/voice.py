"""Who speaks with a runbook in a test: it answers at once, and remembers what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.incident.run import Outcome, Preview
    from orchestrator.incident.runbooks.runbook import Question, Runbook, Step


@dataclass
class Words:
    """Says `said` to every manual step, yes to every cut, and `answers` to the questions."""

    answers: Mapping[str, str] = field(default_factory=dict)
    said: str = "done"
    asked: list[str] = field(default_factory=list)
    by_hands: list[int] = field(default_factory=list)
    agreed: int = 0

    def begins(self, book: Runbook, incident: str, done: int, total: int) -> None:
        """Not of interest."""

    def answer(self, question: Question) -> str:
        self.asked.append(question.name)
        return self.answers[question.name]

    def step(self, step: Step) -> None:
        """Not of interest."""

    def by_hand(self, step: Step) -> str:
        self.by_hands.append(step.number)
        return self.said

    def agree(self, preview: Preview) -> None:
        assert preview.blast is not None
        self.agreed += 1

    def preview(self, preview: Preview) -> None:
        """Not of interest."""

    def outcome(self, outcome: Outcome) -> None:
        """Not of interest."""

    def ended(self, step: Step, words: str) -> None:
        """Not of interest."""

    def progress(self, word: str, done: int, total: int) -> None:
        """Not of interest."""
