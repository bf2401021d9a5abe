"""Replace what was cut: open what was shut, turn what leaked, hand out new secrets wrapped, call the owners' hooks.

Only after the cut, and once: what is done stands in the journal, and a run that was killed goes on behind it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.incident import close, evidence
from orchestrator.incident.model import NOBODY
from orchestrator.incident.turn import turn
from orchestrator.live.approle import Issued, issued
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.hooks import Called, Hooks
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Scope, Turn

_WRAP = "600s"


@dataclass(frozen=True)
class Handed:
    """Something new that goes out wrapped, to whoever reads the answer."""

    title: str
    what: str
    issued: Issued


@dataclass(frozen=True)
class ByHand:
    """What somebody has to do."""

    title: str
    owner: str
    what: str


@dataclass(frozen=True)
class Reissued:
    """What was replaced, and what was not."""

    opened: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    handed: tuple[Handed, ...] = ()
    called: tuple[Called, ...] = ()
    by_hand: tuple[ByHand, ...] = ()


def begun(journal: Journal) -> bool:
    """Whether replacing began: from then on nothing is cut any more, as what is new would be cut with it."""
    return journal.last("reissuing") is not None


@dataclass
class Reissue:
    """One run of it over an incident that is cut."""

    ground: Ground
    journal: Journal
    scope: Scope
    hooks: Hooks

    def run(self) -> Reissued:
        if not begun(self.journal):
            self.journal.write("reissuing", hooks=sorted(self._hooked()))
        opened = tuple(self._open())
        turned = list(
            turn(self.ground, self.journal, [one for one in self.scope.turns if not (one.wrapped or one.ends)])
        )
        refused = [self._by_hand(one.turn.title, f"{one.title}: {one.refused}") for one in turned if one.refused]
        handed, called = self._hand_out()
        found = Reissued(
            opened,
            tuple(one.title for one in turned if one.now and not one.refused),
            tuple(handed),
            tuple(called),
            tuple(dict.fromkeys((*refused, *self._left(called)))),
        )
        self.journal.write("reissued", by_hand=[vars(one) for one in found.by_hand])
        return found

    def _open(self) -> Iterator[str]:
        """What was shut and fits nothing that a thief still has."""
        fit = {(one.namespace, one.path) for one in self.scope.closes if one.opens}
        return close.reopen(self.ground, self.journal, fit.__contains__)

    def _titles(self) -> set[str]:
        """Every object that something was cut of."""
        known = {one.source for one in evidence.known(self.journal)}
        return known | {one.title for one in self.scope.closes} | {one.title for one in self.scope.turns}

    def _hooked(self) -> set[str]:
        return self._titles() & set(self.hooks.commands)

    def _hand_out(self) -> tuple[list[Handed], list[Called]]:
        """New secrets to the hooks of their objects, or to the answer; then the hooks that need none."""
        handed: list[Handed] = []
        called: list[Called] = []
        wrapped = [one for one in self.scope.turns if one.wrapped]
        for one in wrapped:
            if one.title in self._done():
                continue
            new = self._issued(one)
            if new and one.title in self.hooks.commands:
                called.append(self._called(one.title, new))
            elif new:
                handed.append(Handed(one.title, one.what, new))
                self.journal.write("handed", title=one.title)
        others = sorted(self._hooked() - {one.title for one in wrapped})
        called.extend(self._called(title) for title in others if title not in self._done())
        return handed, called

    def _issued(self, one: Turn) -> Issued | None:
        """A new secret, wrapped; one that an earlier run was killed over is taken back, as nobody has it."""
        server = self.ground.inside(one.namespace).server
        for line in self.journal.of("issued"):
            if line.data["title"] == one.title:
                self._take_back(line.data["accessor"])
        self.journal.write("issuing", title=one.title)
        try:
            new = issued(server.request(one.ask.method, one.ask.path, one.ask.body or {}, wrap=_WRAP).wrap)
        except (Denied, Rejected) as error:
            self.journal.write("not issued", title=one.title, why=str(error))
            return None
        self.journal.write("issued", title=one.title, accessor=new.accessor, until=str(new.expires))
        return new

    def _called(self, title: str, new: Issued | None = None) -> Called:
        """How the hook went; what it was to hand on is taken back where it failed."""
        self.journal.write("calling", title=title, command=list(self.hooks.commands[title]))
        found = self.hooks.call(title, new.token if new else "")
        self.journal.write("called", title=title, code=found.code, seconds=round(found.seconds, 3), why=found.why)
        if found.code != 0 and new:
            self._take_back(new.accessor)
        return found

    def _take_back(self, accessor: str) -> None:
        try:
            self.ground.server.write("auth/token/revoke-accessor", {"accessor": accessor})
        except (Denied, Rejected) as error:  # it was unwrapped, or ended by itself
            self.journal.write("not taken back", accessor=accessor, why=str(error))

    def _done(self) -> set[str]:
        """The objects whose new secret is with its owner, or whose hook went well."""
        lines = self.journal.of("handed", "called")
        return {str(line.data["title"]) for line in lines if line.data.get("code", 0) == 0}

    def _left(self, called: Iterable[Called]) -> Iterator[ByHand]:
        """What nobody replaced: each with its owner."""
        for one in called:
            if one.code != 0:
                yield self._by_hand(one.title, f"its hook failed: {one.went}; do by hand what it does, or resume")
        done = self._done()
        for line in close.standing(self.journal).values():
            what = "stays shut, as a thief may still have what opens it: replace that, then invoke incident.undo-close"
            yield self._by_hand(line["title"], what)
        for title, what, count in self._cut():
            if title not in done:
                many = f"{count} {what}s were" if count > 1 else f"1 {what} was"
                yield self._by_hand(title, f"{many} cut: whoever used it needs a new one")
        for turned in self.scope.turns:
            if turned.ends and turned.title not in done:
                warns = f"; {turned.warns}" if turned.warns else ""
                yield self._by_hand(
                    turned.title, f"its {turned.what} is another: whoever uses it must fetch that{warns}"
                )

    def _cut(self) -> list[tuple[str, str, int]]:
        counts = Counter((one.source, one.what) for one in evidence.known(self.journal))
        return [(source, what, count) for (source, what), count in sorted(counts.items())]

    def _by_hand(self, title: str, what: str) -> ByHand:
        return ByHand(title, self.ground.owner(title) or NOBODY, what)
