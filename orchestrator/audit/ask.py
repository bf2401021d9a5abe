"""Questions to audit logs, answered in one pass: each says what a line must hold, and looks at the entries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from orchestrator.audit.read import HASH, HASHES, Broken, Covered, Entry, entries, text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from orchestrator.audit.read import Between

T = TypeVar("T")
Watched = tuple[AbstractSet[str], ...]
EVERY_LINE = ("",)
_EXAMPLES = 20
_FEW = 4  # values that are sooner looked for one by one than among all that a line has
_UNWRAP, _REWRAP = "sys/wrapping/unwrap", "sys/wrapping/rewrap"


class Question(Protocol):
    """What one wants to know; its answer is in it after the pass.

    It sees at least the entries of lines that hold one of the marks, anywhere, or one of the watched values, as a whole
    string. It may add to what it watches as it learns, and that counts from the next line.
    """

    @property
    def marks(self) -> Collection[str]: ...

    @property
    def watched(self) -> Watched: ...

    def sees(self, entry: Entry) -> None: ...


@dataclass(frozen=True)
class Pass:
    """What the answers of a pass rest on; of broken lines the first are named."""

    covered: tuple[Covered, ...]
    broken: int
    examples: tuple[Broken, ...]

    @property
    def lines(self) -> int:
        return sum(one.lines for one in self.covered)


@dataclass
class Seen:
    """How often, when, where from and for what something was seen."""

    requests: int = 0
    first: datetime | None = None
    last: datetime | None = None
    paths: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)

    def count(self, entry: Entry) -> None:
        """Take one line as a request of its own."""
        self.requests += 1
        self.first = min(self.first or entry.at, entry.at)
        self.last = max(self.last or entry.at, entry.at)
        self.paths[f"{entry.namespace}/{entry.path}".lstrip("/")] += 1
        self.addresses[entry.remote_address] += 1


class Wraps(Generic[T]):
    """Answers that went out wrapped: their content is logged where somebody opens them."""

    def __init__(self) -> None:
        self._kept: dict[str, T] = {}
        self.tokens: AbstractSet[str] = self._kept.keys()

    def keep(self, entry: Entry, what: T) -> bool:
        """Remember what a wrapped answer is about; whether the answer is one."""
        if token := text(entry.raw, "response.wrap_info.token"):
            self._kept[token] = what
        return bool(token)

    def opened(self, entry: Entry) -> T | None:
        """What is in the open with this entry, if that was wrapped before."""
        if entry.kind != "response" or entry.path not in {_UNWRAP, _REWRAP}:
            return None
        what = self._kept.get(text(entry.raw, "request.data.token") or entry.token)
        return None if what is None or self.keep(entry, what) else what


def ask(files: Iterable[Path], questions: Sequence[Question], between: Between | None = None) -> Pass:
    """Show the logs to all questions at once, the oldest file first; each entry to the questions in their order."""
    covered: list[Covered] = []
    examples: list[Broken] = []
    broken = 0
    for one in entries(files, between, _wanted(questions)):
        if isinstance(one, Entry):
            for question in questions:
                question.sees(one)
        elif isinstance(one, Covered):
            covered.append(one)
        else:
            broken += 1
            if broken <= _EXAMPLES:
                examples.append(one)
    return Pass(tuple(covered), broken, tuple(examples))


def _wanted(questions: Iterable[Question]) -> Callable[[str], bool] | None:
    """What spares the parsing of lines that no question asks about."""
    marks = {mark for question in questions for mark in question.marks}
    watched = {id(values): values for question in questions for values in question.watched}.values()
    if "" in marks:
        return None
    in_clear = any(not value.startswith(HASH) for values in watched for value in values)
    strings = _quoted if in_clear else HASHES.findall

    def wanted(line: str) -> bool:
        for mark in marks:
            if mark in line:
                return True
        if sum(map(len, watched)) > _FEW:
            found = strings(line)
            return not all(values.isdisjoint(found) for values in watched)
        for values in watched:
            for value in values:
                if value in line:
                    return True
        return False

    return wanted


def _quoted(line: str) -> list[str]:
    return line.split('"')


def bearer(entry: Entry, among: Collection[str]) -> str:
    """Who asks, by the name that is among these: its accessor, or the hash of a token that has none."""
    return next((name for name in (entry.accessor, entry.token) if name and name in among), "")


def is_asked(entry: Entry) -> bool:
    """Whether to count this line of a request's two: what was asked, or a login's answer, which first has a name."""
    token = text(entry.raw, "auth.client_token")
    return entry.kind == "request" or (token != "" and token != text(entry.raw, "request.client_token"))


@dataclass(frozen=True)
class Where:
    """Paths in the words of a policy: `+` is one segment, a last `*` any rest; no namespace means every one."""

    pattern: str
    namespace: str | None = None

    @property
    def mark(self) -> str:
        """What each line of such a path holds, up to what JSON might write otherwise."""
        literal = re.match(r"[A-Za-z0-9_/.:@-]*", self.pattern)
        return f'"path":"{literal[0] if literal else ""}'

    def holds(self, entry: Entry) -> bool:
        inside = self.namespace is None or self.namespace.strip("/") == entry.namespace
        return inside and self._expression.fullmatch(entry.path) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        bare = self.pattern.removesuffix("*")
        segments = ("[^/]+" if part == "+" else re.escape(part) for part in bare.split("/"))
        return re.compile("/".join(segments) + ".*" * self.pattern.endswith("*"), re.DOTALL)
