"""What a journal and its files tell of an incident, worked out once for the report and for the status."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.incident import evidence, journal
from orchestrator.incident.model import NOBODY
from orchestrator.incident.sentences import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.journal import Line

_STEPS = (
    ("shut", ("closed",)),
    ("counted", ("found",)),
    ("cut", ("cut",)),
    ("proven", ("proved",)),
)


@dataclass(frozen=True)
class Shut:
    """One thing that was shut: when, and when it was opened again ("" where it was not)."""

    title: str
    namespace: str
    path: str
    began: str
    closed: str = ""
    reopened: str = ""


@dataclass(frozen=True)
class Row:
    """Credentials of one sort that one thing gave out."""

    source: str
    what: str
    owner: str
    found: int
    late: int  # made, or come to light, after the first look
    alive: int | None  # None where nobody has looked since


@dataclass(frozen=True)
class Left:
    """Credentials that live on for the same reason."""

    what: str
    source: str
    owner: str
    reason: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One agreed revocation, with every line up to the next one."""

    lines: tuple[Line, ...]

    @property
    def agreed(self) -> Line:
        return self.lines[0]

    def last(self, *what: str) -> Line | None:
        return next((line for line in reversed(self.lines) if line.what in what), None)

    def steps(self) -> Iterator[tuple[str, float]]:
        """Each step that is done, with how long it took."""
        before = self.agreed.at
        for title, ends in _STEPS:
            line = self.last(*ends)
            if line is not None and line.at >= before:
                yield title, seconds(before, line.at)
                before = line.at

    def since_agreed(self, *what: str) -> float | None:
        line = self.last(*what)
        return None if line is None else seconds(self.agreed.at, line.at)


@dataclass(frozen=True)
class Story:
    """An incident as it is recorded."""

    folder: Path
    lines: tuple[Line, ...]

    @property
    def incident(self) -> str:
        return str(next((line.data["incident"] for line in self.of("agreed")), self.folder.name))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        starts = [place for place, line in enumerate(self.lines) if line.what == "agreed"]
        ends = [*starts[1:], len(self.lines)] if starts else []  # a runbook may have lines, and cut nothing
        return tuple(Run(self.lines[start:end]) for start, end in zip(starts, ends, strict=True))

    @property
    def code(self) -> int | None:
        """How it ended; None for an incident that is unfinished."""
        line = self.last("agreed", "resumed", "finished")
        return int(line.data["code"]) if line is not None and line.what == "finished" else None

    def of(self, *what: str) -> Iterator[Line]:
        return (line for line in self.lines if line.what in what)

    def last(self, *what: str) -> Line | None:
        return next((line for line in reversed(self.lines) if line.what in what), None)

    @cached_property
    def shut(self) -> tuple[Shut, ...]:
        return tuple(shuttings(self.lines))

    @property
    def still_shut(self) -> tuple[Shut, ...]:
        return tuple(one for one in self.shut if not one.reopened)

    @cached_property
    def owners(self) -> Mapping[str, str]:
        return {source: str(owner) for line in self.of("found") for source, owner in line.data["owners"].items()}

    def owner(self, title: str) -> str:
        return self.owners.get(title) or NOBODY

    @cached_property
    def known(self) -> Mapping[tuple[str, str, str], tuple[str, bool]]:
        """Every credential by what, namespace and id: what gave it out, and whether it came to light late."""
        found: dict[tuple[str, str, str], tuple[str, bool]] = {}
        for run in self.runs:
            late = False
            for line in run.lines:
                for what, namespace, identity, source in _named(self.folder, line):
                    found.setdefault((what, namespace, identity), (source, late))
                late = late or line.what == "revoking"
        return found

    @cached_property
    def left(self) -> Mapping[str, str]:
        """What lived on when it was last looked at, with the reason."""
        line = self.last("cut")
        return {} if line is None else line.data["left"]

    @property
    def looked_after(self) -> bool:
        """Whether somebody looked again after the last revoking."""
        line = self.last("revoking", "cut")
        return line is not None and line.what == "cut"

    def blast(self) -> list[Row]:
        """How many of what, by what gave them out, before and after."""
        rows: dict[tuple[str, str], list[int]] = {}
        for (what, _, identity), (source, late) in self.known.items():
            row = rows.setdefault((source, what), [0, 0, 0])
            row[1 if late else 0] += 1
            row[2] += f"{what} {identity}" in self.left
        after = self.looked_after
        return [
            Row(source, what, self.owner(source), found, late, alive if after else None)
            for (source, what), (found, late, alive) in sorted(rows.items())
        ]

    def lives(self) -> list[Left]:
        """What lives on, together where the reason is the same."""
        by_title = {f"{what} {identity}": (what, identity, at[0]) for (what, _, identity), at in self.known.items()}
        groups: dict[tuple[str, str, str], list[str]] = {}
        for title, reason in self.left.items():
            what, identity, source = by_title.get(title, (title.partition(" ")[0], title.partition(" ")[2], ""))
            groups.setdefault((what, source, reason), []).append(identity)
        return [Left(*key[:2], self.owner(key[1]), key[2], tuple(ids)) for key, ids in sorted(groups.items())]

    @property
    def proofs(self) -> Sequence[Spec]:
        line = self.last("proved")
        return [] if line is None else line.data["proofs"]

    def said(self, name: str) -> list[str]:
        """What the agreements list under a name, once each."""
        return list(dict.fromkeys(str(one) for line in self.of("agreed") for one in line.data.get(name) or ()))

    def by_hand(self) -> dict[str, str]:
        """What steps recorded as `by_hand`, a list of {what, owner}: what is to be done, and by whom."""
        said = [one for line in self.lines for one in line.data.get("by_hand") or ()]
        return {str(one["what"]): str(one.get("owner") or NOBODY) for one in said}


def _named(folder: Path, line: Line) -> Iterable[tuple[str, str, str, str]]:
    """The credentials that a line speaks of."""
    if line.what == "found":
        found: list[Spec] = evidence.stored(folder, line)
        return [(one["what"], one["namespace"], one["id"], one["source"]) for one in found]
    if line.what == "revoking":
        said: list[list[Json]] = line.data["credentials"]
        return [(what, namespace, identity, source) for what, namespace, identity, source in said]
    return ()


def shuttings(lines: Iterable[Line]) -> Iterator[Shut]:
    """Each shutting with its end, in their order; the same thing shut twice is told twice."""
    done: list[Shut] = []
    for line in lines:
        if line.what == "closing" and line.data.get("lasts"):
            continue  # it was changed for good, and there is nothing to open
        if line.what == "closing":
            done.append(Shut(line.data["title"], line.data["namespace"], line.data["path"], line.at))
        elif line.what in {"closed", "reopened", "left shut"}:
            place = line.data["namespace"], line.data["path"]
            for number, one in enumerate(done):
                if (one.namespace, one.path) == place and not one.reopened:
                    done[number] = _followed(one, line)
    yield from done


def _followed(one: Shut, line: Line) -> Shut:
    if line.what != "closed":
        return Shut(one.title, one.namespace, one.path, one.began, one.closed, line.at)
    return Shut(one.title, one.namespace, one.path, one.began, one.closed or line.at)


def story(folder: Path) -> Story:
    """The incident in a folder; Tampered where its journal is not as it was written."""
    return Story(folder, tuple(journal.read(folder / journal.FILE)))
