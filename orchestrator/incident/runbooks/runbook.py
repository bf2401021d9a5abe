"""What a runbook is: what it asks, what leaked, and the steps to take."""

from __future__ import annotations

import hashlib
import re
import string
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json

FOLDER = "runbooks"
NONE = "none"
DOES: Mapping[str, str] = {
    "status": "ask the server how it is",
    "preflight": "look at what hangs on the leak; nothing is changed",
    "revoke": "shut the source, cut everything that hangs on it, and prove it dead",
    "verify": "check that no line of the evidence was changed",
    "undo-close": "open again what was shut",
}
KINDS: Mapping[str, str] = {
    "name": "one word",
    "path": "a path, such as auth/approle/payments",
    "secret": "where the secret is to be read: prompt, file:PATH, or - for stdin",
}
_WAY = re.compile(r"-|prompt|file:.+")


@dataclass(frozen=True)
class Question:
    """What a runbook has to know first; the answer to one of kind secret is a way to it, never the secret."""

    name: str
    text: str
    kind: str
    example: str
    optional: bool = False

    def wrong(self, answer: str) -> str:
        """Why an answer is none, nothing when it is one."""
        if not answer:
            return "" if self.optional else f"{self.name}: an answer is needed, such as {self.example}"
        fits = {"name": len(answer.split()) >= 1, "path": "/" in answer, "secret": bool(_WAY.fullmatch(answer))}
        return "" if fits[self.kind] else f"{self.name}: this is not {KINDS[self.kind]}; an example: {self.example}"


@dataclass(frozen=True)
class Step:
    """One thing to do: by a command of ours (`do`), or by a person (`say`, with the commands to `run`)."""

    number: int
    do: str = ""
    say: str = ""
    run: tuple[str, ...] = ()
    see: str = ""  # what it looks like when it worked


@dataclass(frozen=True)
class Runbook:
    """What to do when one thing happens."""

    name: str
    title: str
    questions: tuple[Question, ...]
    targets: tuple[tuple[str, str], ...]  # (flag of `invoke revoke`, its value with placeholders)
    close: str
    steps: tuple[Step, ...]
    proofs: tuple[str, ...]  # the classes of credentials that must be proven dead
    tell: tuple[str, ...]
    drill: str
    because: str = ""  # why there is no drill
    drilled: Mapping[str, Json] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Changes with what it does, and not with its words."""
        does = [*map(astuple, self.steps), *self.targets, self.close, self.proofs]
        return hashlib.sha256(repr(does).encode()).hexdigest()[:12]


def placeholders(text: str) -> list[str]:
    """The names in braces, in their order.

    >>> placeholders("invoke revoke --role {role}")
    ['role']
    """
    return [name for _, name, _, _ in string.Formatter().parse(text) if name]
