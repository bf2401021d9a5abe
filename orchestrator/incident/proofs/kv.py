"""Destroyed versions of a secret read again: there is nothing in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.model import Proof
from orchestrator.live.server import Denied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential


def unreadable(ground: Ground, versions: Sequence[Credential]) -> Iterator[Proof]:
    """One proof for all that hold nothing, one for each that is read or that we may not read."""
    empty = 0
    for one in versions:
        said = _said(ground, one)
        empty += said is None
        if said is not None:
            yield Proof("secret version", one.id, dead=None if said else False, said=said or "it is still read")
    if empty:
        title = f"{empty} old version{'s' if empty > 1 else ''}"
        yield Proof("secret version", title, dead=True, said="read again: no data", count=empty)


def _said(ground: Ground, one: Credential) -> str | None:
    """None where nothing is there, else why that cannot be told; empty where there is something."""
    server = ground.inside(one.namespace).server
    try:
        found = server.read(f"{one.facts['mount']}/data/{one.facts['path']}", query=f"version={one.facts['version']}")
    except Denied:
        return "your token may not read it"
    return None if found is None or found.get("data") is None else ""
