"""One leaked account of a system behind a mount: whose it is, by its name, and which lease stands for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.incident.ground import function, kind_of
from orchestrator.incident.model import Scope
from orchestrator.incident.origins import named as origins_named
from orchestrator.live.bulk import send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential
    from orchestrator.incident.origin import Origin

_EARLY, _LATE = -1, (2, 15)  # seconds by which a lease may be younger than the second in its account's name


def named(ground: Ground, value: str) -> Iterator[tuple[str, int]]:
    """The objects whose account it may be, and the second in which it was made, 0 for one that stays."""
    for family, mount in ground.mounts:
        kind = kind_of(ground, family, mount)
        if kind and kind.account:
            yield from function(kind.account)(ground, mount, value)


def made_then(ground: Ground, value: str, name: str, made: int) -> Scope:
    """The lease that the role gave out when the account was made; all that are as near: the server tells no closer."""
    found = Scope()
    for one in origins_named(ground, name):
        leases = _nearest(ground, one, made)
        asked = tuple(replace(asked, only=value) for asked in one.accounts(ground.namespace))
        note = f"{one.title} gave out {len(leases)} leases when {value} was made: which is its own is not told"
        found += Scope(singles=leases, accounts=asked, notes=(note,) if len(leases) > 1 else ())
    return found


def _nearest(ground: Ground, one: Origin, made: int) -> tuple[Credential, ...]:
    """Those of the same moment, else those that a slow database let come later."""
    late = list(_given(ground, one, made))
    return next((some for latest in _LATE if (some := tuple(lease for lease, by in late if by <= latest))), ())


def _given(ground: Ground, one: Origin, made: int) -> Iterator[tuple[Credential, float]]:
    """The leases of an object that are not older than an account, and by how many seconds they are younger."""
    leases = [
        lister.made(key)
        for lister in one.listers(ground, one.live(ground.server))
        for key in ground.server.list(lister.path.rstrip("/"))
        if not key.endswith("/")
    ]
    by_ask = {id(lease.look.ask): lease for lease in leases}
    for ask, reply in send(ground.line, [lease.look.ask for lease in leases]):
        issued = reply.data.get("issue_time") if reply.ok else None
        if issued and (late := datetime.fromisoformat(issued).timestamp() - made) >= _EARLY:
            yield by_ask[id(ask)], late
