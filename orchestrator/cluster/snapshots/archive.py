"""A snapshot as the server gives it: a gzipped tar of meta.json, state.bin, and their sums, plain and sealed."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from pathlib import Path

META, STATE, SUMS, SEALED = "meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"
_PIECE = 1 << 20
_SMALL = 1 << 20  # everything but the state
_KEY_INFO, _KEY_ID = 5, 3  # the numbers of these fields in what a seal writes
_LENGTH_DELIMITED = 2


class Broken(StrongroomError):  # noqa: N818 - the name is the sentence: the snapshot is broken
    """What lies there is no whole snapshot; the message says why."""


@dataclass(frozen=True)
class Meta:
    """What a whole snapshot says of itself."""

    index: int
    term: int
    size: int  # of the state, before it was packed
    key_id: str  # by which name the seal calls its key; empty where it has none


def read(path: Path) -> Meta:
    """What is in a snapshot; Broken unless every byte of it is as it was written."""
    small: dict[str, bytes] = {}
    sums: dict[str, str] = {}
    try:
        with gzip.open(path) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as archive:
                for member in archive:
                    _take(member.name, archive.extractfile(member), small, sums)
            while plain.read(_PIECE):  # to the end, where gzip has a sum of all
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        raise Broken(f"{path} is no whole snapshot: {_why(error)}") from error
    except OSError as error:
        raise StrongroomError(f"{path} cannot be read: {error.strerror}") from error
    return _checked(path, small, sums)


def _why(error: Exception) -> str:
    return "it ends too early" if isinstance(error, (EOFError, tarfile.ReadError)) else str(error)


def _take(name: str, content: IO[bytes] | None, small: dict[str, bytes], sums: dict[str, str]) -> None:
    """Sum up one member; keep what is small."""
    if content is None:
        return
    sum_, kept = hashlib.sha256(), bytearray()
    while piece := content.read(_PIECE):
        sum_.update(piece)
        if name != STATE and len(kept) < _SMALL:
            kept += piece
    sums[name], small[name] = sum_.hexdigest(), bytes(kept)


def _checked(path: Path, small: dict[str, bytes], sums: dict[str, str]) -> Meta:
    if missing := [name for name in (META, STATE, SUMS, SEALED) if name not in sums]:
        raise Broken(f"{path} is no whole snapshot: {', '.join(missing)} is not in it")
    rows = (line.split() for line in small[SUMS].decode(errors="replace").splitlines())
    wanted = {row[1]: row[0] for row in rows if len(row) == 2}  # noqa: PLR2004 - a sum and a name
    for name in (META, STATE):
        if sums[name] != wanted.get(name):
            raise Broken(f"{path} was changed: the sum of {name} is not the one that the server wrote beside it")
    try:
        meta = json.loads(small[META])
        return Meta(int(meta["Index"]), int(meta["Term"]), int(meta["Size"]), key_id(small[SEALED]))
    except (ValueError, KeyError, TypeError) as error:
        raise Broken(f"{path}: its {META} is not as a server writes it") from error


def key_id(sealed: bytes) -> str:
    """Which key sealed it, as the seal calls it.

    >>> key_id(bytes([0x0A, 1, 0x07, 0x2A, 4, 0x1A, 2, 0x6B, 0x31]))
    'k1'
    """
    return _field(_field(sealed, _KEY_INFO), _KEY_ID).decode(errors="replace")


def _field(message: bytes, number: int) -> bytes:
    """One field of a protobuf message, empty when it has none that could be it."""
    at = 0
    try:
        while at < len(message):
            tag, at = _varint(message, at)
            if tag & 7 != _LENGTH_DELIMITED:
                _, at = _varint(message, at)
                continue
            length, at = _varint(message, at)
            if tag >> 3 == number:
                return message[at : at + length]
            at += length
    except IndexError:
        return b""
    return b""


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no high bit
            return value, at


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
