"""What is too large for memory, between a node and a file: the data of a whole cluster."""

from __future__ import annotations

import http.client
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from orchestrator.errors import Unreachable
from orchestrator.live import replies
from orchestrator.live.probe import connection
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SNAPSHOT = "sys/storage/raft/snapshot"
SECONDS = 300.0  # without a byte: a leader may have to write gigabytes before it answers
_PIECE = 1 << 20
_WORDS = 1 << 16


def download(
    url: str, path: str, file: BinaryIO, *, ca: bool | str = True, token: str, seconds: float = SECONDS
) -> int:
    """Write what a path answers to the file, as it comes; how many bytes it was. OSError is the file's."""
    asking = connection(url, ca, seconds)
    try:
        return sum(file.write(piece) for piece in _pieces(asking, url, path, token))
    finally:
        asking.close()


def _pieces(asking: http.client.HTTPConnection, url: str, path: str, token: str) -> Iterator[bytes]:
    try:
        asking.request("GET", f"/v1/{path}", headers=_headers(token))
        reply = asking.getresponse()
    except (http.client.HTTPException, OSError) as error:
        raise Unreachable(replies.why_unreachable(url, error, type(error).__name__)) from error
    _check(url, f"GET {path}", "read", reply)
    while piece := _piece(reply, url, path):
        yield piece


def _piece(reply: http.client.HTTPResponse, url: str, path: str) -> bytes:
    try:
        return reply.read(_PIECE)
    except (http.client.HTTPException, OSError) as error:
        raise Unreachable(f"{url}: {path} broke off before it was whole; run this again") from error


def upload(url: str, path: str, file: Path, *, ca: bool | str = True, token: str, seconds: float = SECONDS) -> None:
    """Send a file to a path, piece by piece."""
    asking = connection(url, ca, seconds)
    try:
        with file.open("rb") as content:
            headers = {**_headers(token), "Content-Length": str(file.stat().st_size)}
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have said no before it had read all
                asking.request("POST", f"/v1/{path}", content, headers)
            _check(url, f"POST {path}", "update", asking.getresponse())
    except (http.client.HTTPException, OSError) as error:
        raise Unreachable(replies.why_unreachable(url, error, type(error).__name__)) from error
    finally:
        asking.close()


def _headers(token: str) -> dict[str, str]:
    return {"X-Vault-Request": "true", "X-Vault-Token": token}


def _check(url: str, what: str, needed: str, reply: http.client.HTTPResponse) -> None:
    if http.client.OK <= reply.status < http.client.MULTIPLE_CHOICES:
        return
    words = replies.words(reply.read(_WORDS))
    if reply.status == http.client.FORBIDDEN:
        path = what.partition(" ")[2]
        raise Denied(f"{needed} on {path} is denied: give the token `{needed}` there, or take another token")
    raise Rejected(f"{url}: {what}: {words} (status {reply.status})", reply.status, words)
