"""What an audit log writes for a value: each device hashes with a salt of its own, and only the server can tell."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.audit.read import HASHES, lines
from orchestrator.errors import StrongroomError
from orchestrator.live import many
from orchestrator.live.server import Denied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.documents import Json
    from orchestrator.live.server import Server

_DEVICES = "sys/audit"
# What logs of any age hold hashed: in lookups of tokens, in requests for them, in refusals.
_COMMON = ("service", "batch", "default", "root", "token", "auth/token/create", "auth/token/root", "permission denied")


@dataclass(frozen=True)
class Device:
    """An audit device; `file` is where the server has its log, if that is known, `readable` whether it is here too."""

    path: str
    type: str
    file: Path | None
    readable: bool


def devices(server: Server, folder: Path | None = None) -> tuple[Device, ...]:
    """The server's audit devices; that there is none is an answer, that one may not know is an error.

    A log's name may be given from the folder that the server runs in, which only who started it knows.
    """
    try:
        found = server.in_namespace("").read(_DEVICES) or {}
    except Denied:
        refused = Denied(
            f"the audit devices may not be read: give the token `read` and `sudo` on {_DEVICES}, or take another token"
        )
    else:
        return tuple(_device(path.strip("/"), one, folder) for path, one in sorted(found.items()))
    raise refused


def hashed(server: Server, device: str, values: Iterable[str]) -> dict[str, str]:
    """What this device writes for each value; several are asked at a time. An empty value has no hash to be had."""
    root = server.in_namespace("")

    def one(value: str, _: tuple[str, ...]) -> str:
        return str(root.request("POST", f"sys/audit-hash/{device}", {"input": value}).data["hash"])

    return many.each({value: () for value in values if value}, one)


def as_logged(server: Server, device: str, values: Iterable[str]) -> dict[str, str]:
    """Each value by what may stand for it in the device's log: its hash, and itself where accessors are not hashed."""
    known = hashed(server, device, values)
    return {**{value: value for value in known}, **{written: value for value, written in known.items()}}


def writer(server: Server, among: Iterable[Device], file: Path, known: Iterable[str] = ()) -> Device:
    """Which device wrote a log, wherever the file came from: the one that hashes a value as it stands there.

    `known` are values that may be in it besides what most logs hold, and the caller's own accessor.
    """
    own = (server.read("auth/token/lookup-self") or {}).get("accessor")
    values = {*_COMMON, *known, *([own] if own else ())}
    by_hash = {written: one for one in among for written in hashed(server, one.path, values).values()}
    for line in lines(file):
        for written in HASHES.findall(line):
            if written in by_hash:
                return by_hash[written]
    names = ", ".join(dict.fromkeys(one.path for one in by_hash.values())) or "none is there"
    raise StrongroomError(
        f"{file}: none of this server's audit devices ({names}) is known to have written it; "
        "name a log of this server that holds requests of a token that is named"
    )


def _device(path: str, said: Mapping[str, Json], folder: Path | None) -> Device:
    options = said.get("options") or {}
    file = _file(options.get("file_path") or options.get("path") or "", folder) if said["type"] == "file" else None
    return Device(path, said["type"], file, file is not None and file.is_file() and os.access(file, os.R_OK))


def _file(name: str, folder: Path | None) -> Path | None:
    """Where a file device writes, unless that is a word: `stdout`, `discard`."""
    if name.startswith("/"):
        return Path(name)
    return None if folder is None or name in {"", "stdout", "discard"} else folder / name
