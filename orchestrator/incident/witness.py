"""What systems behind the server say by themselves of the accounts that are cut: asked before the cut, and after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from orchestrator.incident.model import Accounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Proof


class Witness(Protocol):
    """One that was asked before the cut."""

    def explained(self, left: Mapping[str, str]) -> dict[str, str]:
        """The reasons why credentials live on, in words that say what to do."""

    def after(self, left: Mapping[str, str]) -> Iterator[Proof]:
        """End the sessions of what was cut, and prove what can be proven."""


Opener = Callable[["Ground", "Journal", "Sequence[Accounts]"], AbstractContextManager[Witness]]


@contextmanager
def called(ground: Ground, journal: Journal, asked: Sequence[Accounts]) -> Iterator[list[Witness]]:
    """Every witness, asked about these accounts and those that earlier runs of the incident asked about."""
    every = dict.fromkeys((*(Accounts(**one) for line in journal.of("accounts") for one in line.data["asked"]), *asked))
    with ExitStack() as stack:
        yield [
            stack.enter_context(_opener(name)(ground, journal, [one for one in every if one.witness == name]))
            for name in dict.fromkeys(one.witness for one in every)
        ]


def _opener(name: str) -> Opener:
    module, _, function = name.partition(":")
    found: Opener = getattr(import_module(module), function)
    return found
