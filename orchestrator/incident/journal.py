"""The journal of an incident: JSON lines, each with the hash of the one before, on disk before what it tells of."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.documents import Json

FIRST = "0" * 64
FILE, LOCK = "journal.jsonl", "lock"


class Tampered(StrongroomError):  # noqa: N818 - the name is the sentence: the journal was tampered with
    """A line is not the one that was written."""


@dataclass(frozen=True)
class Line:
    """One thing that was about to happen, or that happened."""

    number: int
    at: str
    what: str
    data: Mapping[str, Json]
    before: str  # the hash of the line before
    hash: str

    def text(self) -> str:
        return _canonical({**_body(self.number, self.at, self.what, self.data, self.before), "hash": self.hash}) + "\n"


def _body(number: int, at: str, what: str, data: Mapping[str, Json], before: str) -> dict[str, Json]:
    return {"number": number, "at": at, "what": what, "data": data, "before": before}


def _canonical(document: Mapping[str, Json]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _hash(body: Mapping[str, Json]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """The lines of one incident; a line that a kill cut short is dropped, as nothing had followed from it."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] = now) -> None:
        self.path = folder / FILE
        self.clock = clock
        whole = _whole(self.path)
        self.lines = list(read(self.path)) if whole else []
        if self.path.exists() and self.path.stat().st_size != whole:
            os.truncate(self.path, whole)

    def write(self, what: str, **data: Json) -> Line:
        """Add a line; it is on disk when this returns."""
        before = self.lines[-1].hash if self.lines else FIRST
        body = _body(len(self.lines) + 1, self.clock().isoformat(timespec="milliseconds"), what, data, before)
        line = Line(**body, hash=_hash(body))
        made = not self.path.exists()
        with open(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:  # noqa: PTH123
            file.write(line.text().encode())
            file.flush()
            os.fsync(file.fileno())
        if made:
            _sync_folder(self.path.parent)
        self.lines.append(line)
        return line

    def of(self, *what: str) -> Iterator[Line]:
        """The lines of some sorts, in their order."""
        return (line for line in self.lines if line.what in what)

    def last(self, what: str) -> Line | None:
        return next((line for line in reversed(self.lines) if line.what == what), None)


@contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    """The journal for oneself alone: two at a time would each write lines that follow the same one."""
    with files.locked(folder / LOCK, who="another revoke, resume or report has worked on this incident"):
        yield Journal(folder)


def read(path: Path) -> Iterator[Line]:
    """The whole lines of a journal, or Tampered at the first that is not as it was written."""
    before = FIRST
    content = path.read_bytes()[: _whole(path)]
    for number, text in enumerate(content.split(b"\n")[:-1], 1):
        line = parsed(path, number, text)
        if line.number != number or line.before != before:
            raise Tampered(f"{path}:{number}: this line does not follow the one before it")
        before = line.hash
        yield line


def parsed(path: Path, number: int, text: bytes) -> Line:
    """A line by itself, or Tampered where it does not fit its own hash."""
    try:
        document = json.loads(text)
        line = Line(**document)
        if _canonical(document).encode() == text and _is_whole(document) and _is_usual(line):
            return line
    except (ValueError, TypeError) as error:
        raise Tampered(f"{path}:{number}: this is no line of a journal") from error
    raise Tampered(f"{path}:{number}: this line was changed after it was written")


def _is_usual(line: Line) -> bool:
    texts = (line.at, line.what, line.before)
    return isinstance(line.number, int) and isinstance(line.data, dict) and all(isinstance(one, str) for one in texts)


def _is_whole(document: Mapping[str, Json]) -> bool:
    return bool(_hash({name: value for name, value in document.items() if name != "hash"}) == document["hash"])


def _whole(path: Path) -> int:
    """How many bytes of the file are whole lines."""
    if not path.exists():
        return 0
    return path.read_bytes().rfind(b"\n") + 1


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
