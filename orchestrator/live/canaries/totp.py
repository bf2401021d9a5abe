"""TOTP: have a code made, have it accepted, and another refused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, Trial
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Declaration
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_WHAT = "have a code made, have it accepted, and another refused"
_USED = "code already used"
_TWICE = 2  # a code may end between its making and its check


def trials(mount: Mount) -> Iterator[Trial]:
    for key in mount.declared("keys"):
        yield Trial(key.title, _WHAT, partial(_prove, mount.server, key))


def _prove(server: Server, key: Declaration) -> None:
    path = f"{key.mount}/code/{key.name}"
    if not any(_accepted(server, path, _made(server, path), tried=True) for _ in range(_TWICE)):
        raise Failed("the server does not accept its own code")
    if _accepted(server, path, _another(_made(server, path)), tried=False):
        raise Failed("the server accepts a code that it did not make")


def _made(server: Server, path: str) -> str:
    found = server.read(path)
    if found is None:
        raise Failed("the key is not there")
    return str(found["code"])


def _accepted(server: Server, path: str, code: str, *, tried: bool) -> bool:
    """Whether the server takes the code; `tried` is what to think of one that was tried before: each serves once."""
    try:
        return bool(server.write(path, {"code": code})["valid"])
    except Rejected as error:
        if _USED in error.words:
            return tried
        raise


def _another(code: str) -> str:
    """A code of the same length whose every digit differs.

    >>> _another("905")
    '450'
    """
    return "".join(str((int(digit) + 5) % 10) for digit in code)
