"""A lease: what the server gives out stands in its books, and is struck off when it is revoked."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, cleaning
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.live.server import Answer, Server

WHAT = "make an account, see its lease, revoke it (no login: that takes a client of its own)"


@contextmanager
def leased(server: Server, path: str) -> Iterator[Answer]:
    """What the server gives out at a path, with its lease; revoked when the block ends."""
    answer = server.request("GET", path)
    with cleaning(partial(_revoke, server, answer.lease), _told(answer)):
        yield answer


def prove(server: Server, path: str) -> None:
    """Have something given out, and find its lease in the server's books, and in them no more."""
    with leased(server, path) as answer:
        if not _stands(server, answer.lease):
            raise Failed(f"{_told(answer)} is not in the server's books: nothing would ever end it")
    if _stands(server, answer.lease):
        raise Failed(f"{_told(answer)} still stands after it was revoked")


def _told(answer: Answer) -> str:
    return f"the lease of account {answer.data.get('username')}"


def _revoke(server: Server, lease: str) -> None:
    server.write("sys/leases/revoke", {"lease_id": lease, "sync": True}, again=True)


def _stands(server: Server, lease: str) -> bool:
    try:
        server.write("sys/leases/lookup", {"lease_id": lease}, again=True)
    except Rejected as error:
        if "invalid lease" in error.words:
            return False
        raise
    return True
