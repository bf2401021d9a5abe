"""Namespaces: one of them, or it and all below."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from orchestrator.incident.model import Gone, Scope
from orchestrator.live.server import Rejected
from orchestrator.live.wire import NO_SUCH_ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.incident.ground import Ground

ALL = "all"
Found = TypeVar("Found")


def tree(ground: Ground) -> Iterator[Ground]:
    """The namespace itself, and all below it."""
    yield ground
    for name in _inner(ground):
        path = "/".join(part for part in (ground.namespace, name.strip("/")) if part)
        yield from tree(ground.inside(path))


def _inner(ground: Ground) -> tuple[str, ...]:
    try:
        return ground.server.list("sys/namespaces")
    except Rejected as error:
        if NO_SUCH_ENDPOINT in error.words:  # the free edition of Vault has none
            return ()
        raise


def everywhere(ground: Ground, look: Callable[[Ground], Scope]) -> Scope:
    """What is found in any of the namespaces; Gone where it is in none of them."""
    grounds, found, missing = list(tree(ground)), Scope(), []
    for one in grounds:
        try:
            found += look(one)
        except Gone as error:
            missing.append(error)
    if len(missing) == len(grounds):
        raise Gone(f"{missing[0]}; nor is it in any namespace below")
    return found


def first(grounds: Sequence[Ground], look: Callable[[Ground], Found]) -> Found:
    """What the first namespace has that has it; Gone where none does."""
    for one in grounds[:-1]:
        try:
            return look(one)
        except Gone:
            continue
    return look(grounds[-1])
