"""Revoke, look again, until nothing of the scope lives or nothing more can be done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident import evidence
from orchestrator.incident.ground import function
from orchestrator.incident.hanging import Overdue, Places
from orchestrator.incident.look import blast
from orchestrator.incident.traces import with_orphans
from orchestrator.live.bulk import send

if TYPE_CHECKING:
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Blast, Credential, Scope

BATCH = 500
ROUNDS = 5
_ENDED = 300
_ORDER = ("SecretID", "token")  # what makes more comes first
_PAUSE = 1.0

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cut:
    """How a revocation ended."""

    ended: int
    rounds: int
    left: Mapping[str, str] = field(default_factory=dict)  # what lives on, with the reason
    late: int = 0  # what came to light only after the first look
    leases: Places = field(default_factory=dict)  # what is left at the paths where the tokens could have got one
    unseen: tuple[str, ...] = ()  # why nobody knows what became of some of them
    slipped: tuple[str, ...] = ()  # tokens that others made meanwhile; whether a cut one did only a log could tell


def revoke(ground: Ground, journal: Journal, scope: Scope, first: Blast, tell: Tell) -> Cut:
    """End all that was found, then look again: what a thief made meanwhile, and what hung on it, ends in the next."""
    found, known, late = first, {one.key for one in first.credentials}, 0
    reasons: dict[str, str] = {}
    overdue = Overdue(ground, first.credentials, [line.data for line in journal.of("closing")])
    for number in range(1, ROUNDS + 1):
        reasons = dict(_ended(ground, journal, _in_order(found.credentials), tell))
        _settled(ground, journal, (*evidence.known(journal), *found.credentials))
        again = with_orphans(ground, blast(ground, scope, revoked=True), first.credentials)
        fresh = [one for one in again.credentials if one.key not in known]
        overdue.add(fresh)
        hung = overdue.found()
        found, late = replace(again, credentials=(*again.credentials, *hung)), late + len(fresh)
        _keep(ground, journal, found, known)
        journal.write("looked again", round=number, alive=len(found), late=len(fresh), overdue=len(hung))
        alive = [one for one in found.credentials if one.end]
        if not alive:
            break
        if all(one.id in reasons for one in alive):
            time.sleep(_PAUSE)  # nothing new, and what failed may only need a moment
    left = {f"{one.what} {one.id}": _why(one, reasons) for one in found.credentials if not one.file}
    slipped = () if ground.logs else tuple(_meanwhile(first, found))
    return Cut(len(known) - len(left), number, left, late, overdue.after, overdue.unseen, slipped)


def _meanwhile(first: Blast, last: Blast) -> Iterator[str]:
    """The tokens that others made between two looks: a child that is made while its parent dies may outlive it."""
    known = {one.id for one in first.children}
    return (one.id for one in last.children if one.id not in known)


def _keep(ground: Ground, journal: Journal, found: Blast, known: set[tuple[str, str, str]]) -> None:
    """What came to light goes into the evidence before it is cut."""
    fresh = tuple(one for one in found.credentials if one.key not in known)
    if fresh:
        evidence.keep(journal, replace(found, credentials=fresh), ground.owners(fresh))
        known |= {one.key for one in fresh}


def _why(one: Credential, reasons: Mapping[str, str]) -> str:
    return reasons.get(one.id) or one.stays or "it lives on, though revoked"


def _settled(ground: Ground, journal: Journal, credentials: Sequence[Credential]) -> None:
    """Put the ends into effect: each file written, each request sent that several have in common."""
    every = {one.key: one for one in credentials}.values()
    for name in dict.fromkeys(one.file for one in every if one.file):
        function(name)(journal, [one for one in every if one.file == name])
    for ask in {(one.then.path, one.then.namespace): one.then for one in every if one.then}.values():
        journal.write("settling", path=ask.path, namespace=ask.namespace)
        (((_, reply)),) = send(ground.line, [ask])
        if reply.status >= _ENDED:
            raise StrongroomError(f"{ask.path}: {reply.said}: what was revoked is not in effect yet")


def _in_order(credentials: Sequence[Credential]) -> list[Credential]:
    return sorted(credentials, key=lambda one: _ORDER.index(one.what) if one.what in _ORDER else len(_ORDER))


def _ended(
    ground: Ground, journal: Journal, credentials: Sequence[Credential], tell: Tell
) -> Iterator[tuple[str, str]]:
    """Revoke each that can be, a batch at a time; those that refuse, with their reasons."""
    waiting = iter([one for one in credentials if one.end])
    done, total = 0, sum(one.end is not None for one in credentials)
    while batch := list(islice(waiting, BATCH)):
        journal.write("revoking", credentials=[[one.what, one.namespace, one.id, one.source] for one in batch])
        by_ask = {id(one.end): one for one in batch}
        refused: dict[str, str] = {}
        for ask, reply in send(ground.line, (one.end for one in batch if one.end)):
            ground.renew()
            one = by_ask[id(ask)]
            if reply.status >= _ENDED and not any(word in reply.said for word in one.look.gone):
                refused[one.id] = reply.said
            done += 1
            tell("revoked", done, total)
        journal.write("revoked", count=len(batch) - len(refused), refused=refused)
        yield from refused.items()
