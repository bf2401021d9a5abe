"""Who walks which runbook, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.incident import evidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.incident.run import Outcome, Preview
    from orchestrator.incident.runbooks.runbook import Question, Runbook, Step

DONE, SKIP = "done", "skip because "


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

    def known(self, answers: Mapping[str, str]) -> dict[str, str]:
        """What the texts of a runbook may name."""
        return {**answers, "incident": self.incident, "environment": self.environment}


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
