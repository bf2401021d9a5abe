"""KV: write a value that nobody has, read it back, delete it."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, Trial, cleaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_WHAT = "write a value, read it back, delete it"


def versioned(mount: Mount) -> Iterator[Trial]:
    for one in mount.itself:
        yield Trial(one.title, f"{_WHAT} with all its versions", partial(_prove_versions, mount.server, mount.name))


def plain(mount: Mount) -> Iterator[Trial]:
    for one in mount.itself:
        yield Trial(one.title, _WHAT, partial(_prove_plain, mount.server, mount.name))


def _prove_versions(server: Server, mount: str) -> None:
    name, value = _canary()
    data, metadata = f"{mount}/data/{name}", f"{mount}/metadata/{name}"
    with cleaning(partial(server.delete, metadata), metadata):
        server.write(data, {"data": {"canary": value}, "options": {"cas": 0}})
        _same(((server.read(data) or {}).get("data") or {}).get("canary"), value)
    _gone(server, metadata)


def _prove_plain(server: Server, mount: str) -> None:
    name, value = _canary()
    path = f"{mount}/{name}"
    with cleaning(partial(server.delete, path), path):
        server.write(path, {"canary": value})
        _same((server.read(path) or {}).get("canary"), value)
    _gone(server, path)


def _canary() -> tuple[str, str]:
    return f"strongroom-canary-{secrets.token_hex(8)}", secrets.token_hex(16)


def _same(found: object, written: str) -> None:
    if found != written:
        raise Failed("what was written is not what is read back")


def _gone(server: Server, path: str) -> None:
    if server.read(path) is not None:
        raise Failed(f"{path} is still there after it was deleted")
