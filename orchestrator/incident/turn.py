"""Turn what leaked: the server puts something new in its place, once an incident however often it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.documents import get
from orchestrator.incident.model import Proof
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Turn


@dataclass(frozen=True)
class Turned:
    """How it went: the server's words where it would not."""

    turn: Turn
    before: Json = None  # when it was turned last
    after: Json = None
    refused: str = ""
    now: bool = True  # and not by an earlier run

    @property
    def title(self) -> str:
        return f"{self.turn.what} of {self.turn.title}"

    def proof(self) -> Proof:
        """What the server says of one that was turned."""
        when = f" at {self.after}, before at {self.before}" if self.after else ""
        return Proof(self.turn.what, self.title, dead=True, said=f"the server turned it{when}")


def turn(ground: Ground, journal: Journal, turns: Iterable[Turn]) -> Iterator[Turned]:
    """Turn each that this incident has not turned yet."""
    for one in turns:
        yield _turned(ground, journal, one)


def _turned(ground: Ground, journal: Journal, one: Turn) -> Turned:
    now, begun = _stamp(ground, one), _recorded(journal, "turning", one)
    if begun is None:
        journal.write("turning", key=list(one.key), stamp=now)
    elif _recorded(journal, "turned", one) or (now and now != begun["stamp"]):
        return Turned(one, begun["stamp"], now, now=False)
    before = begun["stamp"] if begun else now
    try:
        ground.inside(one.namespace).server.request(one.ask.method, one.ask.path, one.ask.body)
    except (Denied, Rejected) as error:
        journal.write("not turned", key=list(one.key), why=str(error))
        return Turned(one, before, refused=str(error))
    after = _stamp(ground, one)
    journal.write("turned", key=list(one.key), stamp=after)
    return Turned(one, before, after)


def _stamp(ground: Ground, one: Turn) -> Json:
    """When the server turned it last, where it tells."""
    path, key = one.stamp
    return get(dict(ground.inside(one.namespace).server.read(path) or {}), key) if path else None


def _recorded(journal: Journal, what: str, one: Turn) -> dict[str, Json] | None:
    """The first line of that sort that speaks of it."""
    lines = (line.data for line in journal.of(what) if line.data["key"] == list(one.key))
    found = next(lines, None)
    return dict(found) if found else None
