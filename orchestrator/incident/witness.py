"""What systems behind the server say by themselves of the accounts that are cut: asked before the cut, and after it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from orchestrator.incident.ground import function
from orchestrator.incident.model import Accounts
from orchestrator.incident.origins import leasing
from orchestrator.live.server import Denied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Leases, Proof


class Witness(Protocol):
    """One that was asked before the cut."""

    def explained(self, left: Mapping[str, str]) -> dict[str, str]:
        """The reasons why credentials live on, in words that say what to do."""

    def after(self, left: Mapping[str, str]) -> Iterator[Proof]:
        """End the sessions of what was cut, and prove what can be proven."""


@contextmanager
def called(ground: Ground, journal: Journal, asked: Sequence[Accounts]) -> Iterator[list[Witness]]:
    """Every witness, asked about these accounts and those that earlier runs of the incident asked about."""
    every = dict.fromkeys((*(Accounts(**one) for line in journal.of("accounts") for one in line.data["asked"]), *asked))
    with ExitStack() as stack:
        yield [
            stack.enter_context(function(name)(ground, journal, [one for one in every if one.witness == name]))
            for name in dict.fromkeys(one.witness for one in every)
        ]


def hanging(ground: Ground, leases: Leases) -> Iterator[Accounts]:
    """The accounts that may end because the token that their lease hung on was cut."""
    for namespace, path, _ in leases:
        inside = ground.inside(namespace)
        with suppress(Denied):  # who may not see the roles learns the end of the leases, and nothing beyond
            for one in leasing(inside, path):
                yield from one.accounts(namespace)
