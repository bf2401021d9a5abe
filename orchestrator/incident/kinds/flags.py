"""Flags that name what is no object of a kind: a certificate, a key's version, a secret's value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog import FAMILIES
from orchestrator.errors import StrongroomError
from orchestrator.incident.ground import function
from orchestrator.incident.model import Gone, Scope, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Target
    from orchestrator.model import Kind

_KINDS = [kind for family in FAMILIES.values() for kind in family.values() if kind.leaks]
SORTS = tuple(dict.fromkeys(sort for kind in _KINDS for sort in kind.leaks))


def scope(sort: str, ground: Ground, value: str) -> Scope:
    """All that hangs on what a flag names, on whichever mount it is."""
    kind, mounts = _mounts(sort, ground, value)
    found: Scope = function(kind.leaks[sort].scope)(ground, mounts, value)
    return found


def pinned(ground: Ground, target: Target, before: Sequence[Target]) -> Target:
    """The target as it is meant in this incident, however the server changes: as it was said before, if it was."""
    if target.sort not in SORTS:
        return target
    said = f"{target.value}@.."
    for one in before:
        if (one.sort, one.namespace) == (target.sort, target.namespace) and one.value.startswith(said):
            return one
    if target.below:
        return _whole(target)
    inside = ground.inside(target.namespace)
    kind, mounts = _mounts(target.sort, inside, target.value)
    pin = kind.leaks[target.sort].pin
    value = function(pin)(inside, mounts, target.value) if pin else target.value
    return replace(target, value=value)


def _whole(target: Target) -> Target:
    """In all namespaces at once only what means the same in each of them."""
    if any(kind.leaks[target.sort].pin for kind in _KINDS if target.sort in kind.leaks):
        raise StrongroomError(
            f"--{target.sort} {target.value}: each namespace has versions of its own; say which with --namespace"
        )
    return target


def _mounts(sort: str, ground: Ground, value: str) -> tuple[Kind, list[str]]:
    """The kind that a flag speaks of, and its live mounts; one is enough."""
    kinds = {kind.type: kind for kind in _KINDS if sort in kind.leaks}
    live = [(kinds[type_], path) for (family, path), type_ in ground.mounts.items() if type_ in kinds and family]
    if not live:
        raise Gone(f"--{sort} {value}: there is no mount of type {' or '.join(kinds)}{within(ground.namespace)}")
    return live[0][0], sorted(path for _, path in live)
