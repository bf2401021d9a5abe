"""What audit logs say of the tokens that were cut, kept as evidence: each line as it was logged, without a secret."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.audit.ask import Pass, ask
from orchestrator.audit.hashes import as_logged, devices, writer
from orchestrator.audit.tokens import Line, OfTokens
from orchestrator.errors import StrongroomError
from orchestrator.incident import evidence
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.audit.ask import Watched
    from orchestrator.audit.hashes import Device
    from orchestrator.audit.read import Between, Entry
    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Credential

FILE = "audit.jsonl"
_TOKENS, _LINES = 500, 10_000
_HASHED = "hmac-"
_SLACK = timedelta(minutes=5)  # clocks of two machines


def collect(ground: Ground, journal: Journal) -> None:
    """Every line of the tokens that were cut, of the logs at hand; what hinders it hinders nothing else."""
    cut = [one for one in evidence.known(journal) if one.what == "token"]
    if not cut or not ground.logs:
        return
    try:
        _collect(ground, journal, cut)
    except (StrongroomError, OSError) as error:
        journal.write("not logged", why=str(error))


def _collect(ground: Ground, journal: Journal, cut: Sequence[Credential]) -> None:
    device, logs = _readable(ground)
    names = as_logged(ground.server, device.path, [one.id for one in cut[:_TOKENS]])
    kept = _Kept(names)
    passed = ask(logs, [kept], _between(cut, journal.clock()))
    text = "".join(f"{_written(names, line, entry)}\n" for line, entry in kept.lines)
    journal.write(
        "logged",
        file=FILE,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        device=device.path,
        lines=len(kept.lines),
        more=kept.more,
        tokens=min(len(cut), _TOKENS),
        tokens_not_asked=max(len(cut) - _TOKENS, 0),
        **_covered(passed),
    )
    files.write(journal.path.parent / FILE, text)


def _readable(ground: Ground) -> tuple[Device, list[Path]]:
    """A device, with those of the logs at hand that it wrote: every device has the same, each in its own hashes."""
    known = devices(ground.server)
    wrote = {file: writer(ground.server, known, file) for file in ground.logs}
    device = next(iter(wrote.values()))
    said = (ground.inside("").server.read("sys/audit") or {}).get(f"{device.path}/") or {}
    if str((said.get("options") or {}).get("log_raw", "")).lower() in {"true", "1"}:
        raise StrongroomError(f"audit device {device.path} logs every value as it is, which no evidence may hold")
    return device, [file for file, one in wrote.items() if one == device]


def _between(cut: Sequence[Credential], now: datetime) -> Between | None:
    """From when the oldest of them was made; all of the log where one does not tell."""
    with suppress(KeyError, ValueError, TypeError):
        made = min(datetime.fromisoformat(str(one.facts["issue_time"])) for one in cut)
        return made - _SLACK, now + _SLACK
    return None


class _Kept:
    """The lines of some tokens with what they say, no more than can be read."""

    marks: tuple[str, ...] = ()

    def __init__(self, names: Mapping[str, str]) -> None:
        self.lines: list[tuple[Line, Entry]] = []
        self.more = 0
        self._question = OfTokens(names.keys(), self._keep)
        self.watched: Watched = self._question.watched
        self._now: list[Entry] = []

    def sees(self, entry: Entry) -> None:
        self._now = [entry]
        self._question.sees(entry)

    def _keep(self, line: Line) -> None:
        if len(self.lines) < _LINES:
            self.lines.append((line, self._now[0]))
        else:
            self.more += 1


def _written(names: Mapping[str, str], line: Line, entry: Entry) -> str:
    document = {
        "accessor": names[line.accessor],
        "by": line.by,
        "file": str(line.file),
        "line": line.number,
        "entry": _safe(entry.raw),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _safe(raw: Mapping[str, Json]) -> dict[str, Json]:
    """The line without what a mount or a header was tuned to log as it is."""
    found = dict(raw)
    for part in ("request", "response"):
        if isinstance(raw.get(part), dict):
            inner = {name: _only_hashed(raw[part][name]) for name in ("data", "headers") if name in raw[part]}
            found[part] = {**raw[part], **inner}
    return found


def _only_hashed(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _only_hashed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_only_hashed(one) for one in value]
    return value if not isinstance(value, str) or value.startswith(_HASHED) else "(not kept)"


def _covered(passed: Pass) -> dict[str, Json]:
    times = [one.isoformat() for covered in passed.covered for one in (covered.first, covered.last) if one]
    return {
        "lines_read": passed.lines,
        "broken": passed.broken,
        "first": min(times, default=""),
        "last": max(times, default=""),
    }
