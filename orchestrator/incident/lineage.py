"""The tokens that our own may descend from: it would die with any of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.errors import Refused
from orchestrator.incident.look import blast
from orchestrator.incident.model import Scope
from orchestrator.live.server import Denied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents import Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential

_SECONDS = len("2026-01-31T12:00:00")


def spares_me(ground: Ground, found: Scope) -> None:
    """Refused where what is cut holds what may be our parent; a server does not tell who that is."""
    if ground.me.get("orphan", True):
        return
    if mine := [one.id for one in _tokens(ground, found) if _may_be_mine(ground, one.facts)]:
        names = ", ".join(mine)
        raise Refused(
            f"your own token has a parent, and it may be one that would be cut, with which yours would die: {names}; "
            "come in by a login, or with an orphan"
        )


def _tokens(ground: Ground, found: Scope) -> Iterator[Credential]:
    yield from (one for one in found.singles if one.what == "token")
    with suppress(Denied):  # then it is told which rights are lacking, and nothing goes on
        yield from blast(ground, Scope(rules=found.rules)).credentials


def _may_be_mine(ground: Ground, facts: Spec) -> bool:
    """A child has the entity of its parent, and is younger."""
    mine, its = (str(one.get("issue_time") or "")[:_SECONDS] for one in (ground.me, facts))
    return (facts.get("entity_id") or "") == (ground.me.get("entity_id") or "") and its <= mine
