"""What a canary is made of."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.declared import Declaration
    from orchestrator.live.server import Server
    from orchestrator.model import Kind


@dataclass(frozen=True)
class Proof:
    """Whether one declared object works, and the reason when it does not."""

    title: str
    what: str
    seconds: float
    ok: bool
    reason: str = ""


class Failed(StrongroomError):  # noqa: N818 - the name is the sentence: the canary failed
    """A declared object does not do what it is for."""


@dataclass(frozen=True)
class Trial:
    """One thing to try; `run` raises a StrongroomError, without any secret in it, when it fails."""

    title: str
    what: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Mount:
    """A mount (or a kind that stands beside all mounts) with what is declared on it."""

    kind: Kind
    name: str
    declarations: tuple[Declaration, ...]
    server: Server = field(repr=False)
    resolve: Callable[[str], str] = field(repr=False)

    @property
    def itself(self) -> Iterator[Declaration]:
        return (one for one in self.declarations if one.object is None)

    def declared(self, key: str) -> tuple[Declaration, ...]:
        """What is declared under one YAML key."""
        return tuple(one for one in self.declarations if one.object is not None and one.object.key == key)


@contextmanager
def cleaning(clean: Callable[[], object], left: str) -> Iterator[None]:
    """Clean up however the block ends; when that fails too, say what is left behind."""
    failure: StrongroomError | None = None
    try:
        yield
    except StrongroomError as error:
        failure = error
        raise
    finally:
        try:
            clean()
        except StrongroomError as error:
            first = f"{failure}; besides, " if failure else ""
            raise Failed(f"{first}{left} is left behind: {error}") from None
