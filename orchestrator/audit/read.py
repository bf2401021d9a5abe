"""Audit logs to entries: a JSON object a line, plain or gzipped, as the servers write them."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.documents import get
from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.documents import Json

HASH = "hmac-sha256:"
HASHES = re.compile(HASH + ".{64}")
_HEAD = '{"time":"'
_SECOND = slice(len(_HEAD), len(_HEAD) + len("2026-01-01T00:00:00"))
_FRACTION = slice(_SECOND.stop, _SECOND.stop + len('.000000000Z"'))
_KINDS = ("request", "response")
_GZIP = b"\x1f\x8b"

Between = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what was asked, or what was answered. What names a token is as logged: hashed, unless set otherwise."""

    file: Path
    number: int
    at: datetime
    raw: Mapping[str, Json] = field(repr=False)

    @property
    def kind(self) -> str:
        return str(self.raw["type"])

    @property
    def operation(self) -> str:
        return self._text("request", "operation")

    @property
    def path(self) -> str:
        return self._text("request", "path")

    @property
    def namespace(self) -> str:
        return text(self.raw, "request.namespace.path").strip("/")

    @property
    def accessor(self) -> str:
        """Of the token that asks; where a login is answered, of the one that came out."""
        return self._text("auth", "accessor") or self._text("request", "client_token_accessor")

    @property
    def token(self) -> str:
        """The same token's own hash, which is all that a batch token or a dead one leaves; never one in clear."""
        found = self._text("auth", "client_token") or self._text("request", "client_token")
        return found if found.startswith(HASH) else ""

    @property
    def display_name(self) -> str:
        return self._text("auth", "display_name")

    @property
    def entity_id(self) -> str:
        return self._text("auth", "entity_id")

    @property
    def policies(self) -> tuple[str, ...]:
        return tuple(get(self.raw, "auth.policies") or ())

    @property
    def remote_address(self) -> str:
        return self._text("request", "remote_address")

    @property
    def error(self) -> str:
        """Why it was refused, in the server's words on one line."""
        return " ".join(text(self.raw, "error").split())

    @property
    def lease_id(self) -> str:
        return text(self.raw, "response.secret.lease_id")

    @property
    def mount_type(self) -> str:
        return self._text("request", "mount_type")

    def _text(self, part: str, name: str) -> str:
        found = (self.raw.get(part) or {}).get(name)
        return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that is no entry: what it said is lost, and an answer that rests on this log is not whole."""

    file: Path
    number: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.why}"


@dataclass(frozen=True, slots=True)
class Covered:
    """A file that was read to its end, and the time that it covers; no time where no line tells one."""

    file: Path
    lines: int
    first: datetime | None
    last: datetime | None


def text(raw: Mapping[str, Json], dotted: str) -> str:
    """A text at a dotted path, an empty one where none is: whoever sends a request may send anything in its place."""
    found = get(raw, dotted)
    return found if isinstance(found, str) else ""


def entries(
    files: Iterable[Path], between: Between | None = None, wanted: Callable[[str], bool] | None = None
) -> Iterator[Entry | Broken | Covered]:
    """The entries of all files, the oldest file first, each file ending in what it covers.

    `wanted` sees a line's text before it is parsed, and spares most of the time where it says no. A line that is not in
    the servers' own form is parsed all the same; damage inside of a line that nobody wants is not seen.
    """
    for file in _oldest_first(files):
        yield from _entries(file, between, wanted)


def _entries(
    file: Path, between: Between | None, wanted: Callable[[str], bool] | None
) -> Iterator[Entry | Broken | Covered]:
    number, first, last = 0, "", ""
    bounds = None if between is None else (_second(between[0]), _second(between[1]))
    try:
        for number, line in enumerate(lines(file), 1):
            first, last = first or line, line
            outside = bounds is not None and _is_outside(line, bounds)
            if (outside or (wanted is not None and not wanted(line))) and _is_usual(line):
                continue
            found = _entry(file, number, line)
            if isinstance(found, Entry):
                if "\0" in line or "\ufffd" in line:
                    yield Broken(file, number, "some bytes are damaged here; what is left of the line is read")
                if between is None or between[0] <= found.at <= between[1]:
                    yield found
            elif line.endswith("\n") or _is_packed(file):  # else it is still being written
                yield found
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Broken(file, number + 1, f"the compressed file is cut or damaged here: {error}")
    yield Covered(file, number, _time(first), _time(last))


def _entry(file: Path, number: int, line: str) -> Entry | Broken:
    """What a line says; some systems put a word of their own before the object."""
    try:
        raw = json.loads(line[max(line.find("{"), 0) :])
        at = datetime.fromisoformat(raw["time"])
        parts = (raw["request"], raw.get("auth") or {}, raw.get("response") or {})
        if raw["type"] not in _KINDS or not all(isinstance(part, dict) for part in parts):
            return Broken(file, number, "this is JSON, but no entry of an audit log")
    except RecursionError:
        return Broken(file, number, "this nests too deep to be read")
    except ValueError:
        return Broken(file, number, "this is no JSON; the line is damaged")
    except (KeyError, TypeError):
        return Broken(file, number, "this is JSON, but no entry of an audit log")
    return Entry(file, number, at if at.tzinfo else at.replace(tzinfo=UTC), raw)


def _is_usual(line: str) -> bool:
    """Whether a line begins and ends as a server writes it, and holds one entry and nothing that a crash leaves."""
    at = line.find("{")
    return (
        line.startswith(_HEAD, at)
        and line.endswith("}\n")
        and line.find(_HEAD, at + 1) == -1
        and "\0" not in line
        and "\ufffd" not in line
    )


def _is_outside(line: str, bounds: tuple[str, str]) -> bool:
    """Whether the time, as text, is before or after the seconds that count; an unusual form of it is inside."""
    usual = line.startswith(_HEAD) and 'Z"' in line[_FRACTION]
    return usual and not bounds[0] <= line[_SECOND] <= bounds[1]


def _second(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")[: _SECOND.stop - _SECOND.start]


def _time(line: str) -> datetime | None:
    """When a line was written, though it be cut later on."""
    head = line[max(line.find("{"), 0) :]
    try:
        return datetime.fromisoformat(head.removeprefix(_HEAD).partition('"')[0])
    except ValueError:
        return None


def _oldest_first(files: Iterable[Path]) -> list[Path]:
    """As they were written: what one line teaches, like the hash of a token, serves the lines after it."""
    begun = {file: _time(next(lines(file), "")) for file in files}
    return sorted(begun, key=lambda file: begun[file] or datetime.max.replace(tzinfo=UTC))


def lines(file: Path) -> Iterator[str]:
    """The lines as text, of a plain or a gzipped file; bytes that are none are replaced."""
    try:
        opener = gzip.open if _is_packed(file) else open
        with opener(file, "rt", encoding="utf-8", errors="replace", newline="\n") as text:
            yield from text
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        why = error.strerror or error
        raise StrongroomError(
            f"{file}: the audit log cannot be read: {why}; name a copy that this account may read"
        ) from error


def _is_packed(file: Path) -> bool:
    with file.open("rb") as raw:
        return raw.read(len(_GZIP)) == _GZIP
