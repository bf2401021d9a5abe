"""Secrets that must exist: which are missing, and their first values, which nobody has seen.

Only metadata and the names of fields are read, never a value; what exists is never written again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.live.drift import ABSENT, DELETED, PRESENT, Drift
from orchestrator.live.many import each
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.declared import Environment
    from orchestrator.live.server import Server

_TAKEN = "check-and-set parameter did not match"


@dataclass(frozen=True)
class Seed:
    """A declared secret: where it stands, and what each field begins as: so many random characters, or a reference."""

    title: str
    mount: str
    path: str
    fields: Mapping[str, int | str]

    @property
    def references(self) -> dict[str, str]:
        """The references of its fields, by the names under which their secrets are handed on."""
        return {f"{self.title}#{name}": one for name, one in self.fields.items() if isinstance(one, str)}

    @property
    def metadata(self) -> str:
        return f"{self.mount}/metadata/{self.path}"

    @property
    def data(self) -> str:
        return f"{self.mount}/data/{self.path}"

    @property
    def subkeys(self) -> str:
        """Where the server tells the names of the fields without their values; nothing where it was deleted."""
        return f"{self.mount}/subkeys/{self.path}"


def declared(environment: Environment) -> tuple[Seed, ...]:
    return tuple(
        Seed(one.title, one.mount, one.name, {name: _first(said) for name, said in one.spec.items()})
        for one in environment.declarations
        if one.object and one.object.seed
    )


def _first(said: str | Mapping[str, int]) -> int | str:
    return said if isinstance(said, str) else said["generate"]


def missing(server: Server, seeds: Sequence[Seed]) -> tuple[Seed, ...]:
    """Those of which the server has no version at all; one that somebody deleted stays deleted."""
    found = each({one.metadata: () for one in seeds}, lambda path, _: server.read(path))
    return tuple(one for one in seeds if not (found[one.metadata] or {}).get("current_version"))


def drift(server: Server, seeds: Sequence[Seed]) -> list[Drift]:
    """Seeds that are absent or deleted, and declared fields that an existing secret lacks."""
    absent = missing(server, seeds)
    there = [one for one in seeds if one not in absent]
    names = each({one.subkeys: () for one in there}, lambda path, _: server.read(path))
    found = [Drift(one.title, "", PRESENT, ABSENT) for one in absent]
    for one in there:
        found += _differences(one, names[one.subkeys])
    return sorted(found)


def _differences(one: Seed, answer: Mapping[str, object] | None) -> Iterator[Drift]:
    held = (answer or {}).get("subkeys")
    if not isinstance(held, dict):
        yield Drift(one.title, "", PRESENT, DELETED)
        return
    yield from (Drift(one.title, name, PRESENT, ABSENT) for name in one.fields if name not in held)


def sow(server: Server, one: Seed, known: Mapping[str, str]) -> bool:
    """Write a seed that is absent, all of its fields at once; False where somebody was faster, who is left alone."""
    values = {
        name: known[f"{one.title}#{name}"] if isinstance(said, str) else random_text(said)
        for name, said in one.fields.items()
    }
    try:
        server.write(one.data, {"options": {"cas": 0}, "data": values}, again=True)
    except Rejected as error:
        if _TAKEN in error.words:
            return False
        raise
    return True


def random_text(length: int) -> str:
    """So many random characters that need no quoting in an address.

    >>> len(random_text(32)), random_text(16) == random_text(16)
    (32, False)
    """
    return secrets.token_urlsafe(length)[:length]
