"""Leaked values themselves: each becomes the name by which the server knows it, and is held in memory alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from orchestrator.incident.findings import read
from orchestrator.incident.ground import home, may_update
from orchestrator.incident.model import Gone, Target
from orchestrator.incident.origins import by_value
from orchestrator.incident.places import first
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.incident.findings import Finding
    from orchestrator.incident.ground import Ground

Way = Callable[["Ground", str, str], "Named"]
_LOOKUP = "auth/token/lookup"
_NOT_OURS = "nothing here can revoke it: look there, and replace it by hand"


@dataclass(frozen=True)
class Named:
    """What leaked values came to: targets, the leaked tokens by accessor, and what is left for a person."""

    targets: tuple[Target, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    def __add__(self, other: Named) -> Named:
        targets = dict.fromkeys((*self.targets, *other.targets))
        return Named(tuple(targets), {**self.held, **other.held}, (*self.notes, *other.notes))


def tokens(grounds: Sequence[Ground], values: Iterable[str]) -> Named:
    """Leaked tokens of any of the namespaces; one that does not live is an error: somebody asked for it to be cut."""
    whats = ((_token, value, "the leaked token") for value in values)
    return reduce(add, (_anywhere(grounds, *one) for one in whats), Named())


def findings(grounds: Sequence[Ground], files: Iterable[Path]) -> Named:
    """What scanners found; a value that is dead already is said to be so."""
    found = (one for file in files for one in read(file))
    return reduce(add, (_finding(grounds, one) for one in found), Named())


def _anywhere(grounds: Sequence[Ground], way: Way, value: str, what: str) -> Named:
    found = first(grounds, lambda ground: way(ground, value, what))
    if len(grounds) == 1:
        return found
    inside = {ground.namespace for ground in grounds}
    targets = (  # not all are looked up
        replace(one, namespace=grounds[0].namespace, below=True) if one.namespace in inside else one
        for one in found.targets
    )
    return replace(found, targets=tuple(targets))


def _finding(grounds: Sequence[Ground], found: Finding) -> Named:
    where = found.places[0] + (f" and {len(found.places) - 1} more" if len(found.places) > 1 else "")
    try:
        return _anywhere(grounds, _WAYS.get(found.sort, _other), found.value, f"{found.sort} at {where}")
    except Gone as error:
        return Named(notes=(str(error),))


def _token(ground: Ground, value: str, what: str) -> Named:
    facts = _facts(ground, value)
    if facts is None:
        raise Gone(f"{what}: the server does not know it: it expired, was revoked already, or is another server's")
    if not facts.get("accessor"):
        return Named(notes=(_batch(facts, what),))
    accessor = str(facts["accessor"])
    return Named((Target("token", accessor, home(facts, ground.namespace)),), {accessor: value})


def _facts(ground: Ground, value: str) -> Mapping[str, Json] | None:
    try:
        return ground.server.write(_LOOKUP, {"token": value}, again=True)
    except Denied as error:
        if "bad token" in str(error) or may_update(ground.server, _LOOKUP):  # it refuses the token, not us
            return None
        raise
    except Rejected as error:
        if "bad token" in error.words:
            return None
        raise


def _batch(facts: Mapping[str, Json], what: str) -> str:
    entity = facts.get("entity_id")
    way = f"; --entity {entity} has it refused at once" if entity else ""
    return f"{what}: a batch token, which nothing revokes; it lives till {facts.get('expire_time')}{way}"


def _accessor(ground: Ground, value: str, _: str) -> Named:
    return Named((Target("accessor", value, ground.namespace),))


def _secret_id(ground: Ground, value: str, what: str) -> Named:
    accessor = by_value(ground, value)
    if accessor is None:
        raise Gone(f"{what}: no role knows it; it expired, or is destroyed")
    return Named((Target("secret-id-accessor", accessor, ground.namespace),))


def _other(_: Ground, value: str, what: str) -> Named:
    if not value:
        return Named(notes=(f"{what}: the scanner left the value out: look there",))
    return Named(notes=(f"{what}: {_NOT_OURS}",))


_WAYS: Mapping[str, Way] = {
    "token": _token,
    "batch-token": _token,
    "accessor": _accessor,
    "secret-id": _secret_id,
    "approle-id": _secret_id,
    "secret-id-accessor": lambda ground, value, _: Named((Target("secret-id-accessor", value, ground.namespace),)),
}
