"""What a secret scanner found: SARIF, and the JSON of gitleaks, betterleaks, trufflehog and Kingfisher."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.documents import get
from orchestrator.errors import ConfigInvalid, Problem, StrongroomError
from orchestrator.incident.recognise import is_hidden, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from orchestrator.documents import Json

ABSENT, REDACTED, UNKNOWN = (
    "absent",
    "redacted",
    "unknown",
)  # no value in the file; left out by order; of no known shape
_FORMS = "SARIF 2.1.0, or the JSON of gitleaks, betterleaks, trufflehog or Kingfisher"
_COMMIT = 12


@dataclass(frozen=True)
class Finding:
    """One leaked value and every place where it was found; batch tokens cannot be revoked one by one."""

    sort: str
    value: str = field(repr=False)
    places: tuple[str, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True)
class _Result:
    """What a scanner says of one place: the secret, then texts that may hold it as well."""

    texts: tuple[str, ...] = field(repr=False)
    place: str
    rule: str
    also: tuple[str, ...] = field(default=(), repr=False)


class _Odd(Exception):  # noqa: N818 - never leaves this module
    """A result of no shape that we know; the text says what was expected."""


@dataclass(frozen=True)
class _Entry:
    """One object of the file, and where it stands."""

    line: int
    where: str
    data: Json = field(repr=False)
    read: Callable[[Json], _Result]


def read(path: Path) -> tuple[Finding, ...]:
    """What the scanner found, each value once, or ConfigInvalid with everything in the file that makes no sense.

    A finding without its value (`absent`, `redacted`) is one a place: somebody must look there.
    """
    results, problems = [], []
    for entry in _entries(_text(path), str(path)):
        try:
            results.append(entry.read(entry.data))
        except _Odd as error:
            problems.append(Problem(str(path), entry.line, 1, f"{entry.where}: {error}" if entry.where else str(error)))
    if problems:
        raise ConfigInvalid(problems)
    return _joined(finding for result in results for finding in _findings(result))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StrongroomError(f"{path}: cannot be read: {error.strerror}; name the scanner's report") from error
    wide = raw[:2] in {b"\xff\xfe", b"\xfe\xff"}  # what PowerShell makes of >
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigInvalid([Problem(str(path), 1, 1, f"not a text; expected {_FORMS}")]) from None


def _entries(text: str, file: str) -> Iterator[_Entry]:
    if not text.strip():
        raise ConfigInvalid([Problem(file, 1, 1, f"the file is empty; expected {_FORMS}")])
    try:
        documents = [(1, json.loads(text))]
    except RecursionError:
        raise ConfigInvalid([Problem(file, 1, 1, f"nested too deep; expected {_FORMS}")]) from None
    except ValueError:
        documents = list(_lines(text, file))
    for line, document in documents:
        yield from _in(document, line)


def _lines(text: str, file: str) -> Iterator[tuple[int, Json]]:
    """JSON lines; a line that is none is a problem, and all of them are told."""
    found, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found.append((number, json.loads(line) if line.strip() else None))
        except (ValueError, RecursionError):
            problems.append(Problem(file, number, 1, f"no JSON; expected {_FORMS}"))
    if problems:  # without any line in JSON the file as a whole is none
        raise ConfigInvalid(problems if found else [Problem(file, 1, 1, f"no JSON; expected {_FORMS}")])
    yield from ((number, document) for number, document in found if document is not None)


def _in(document: Json, line: int) -> Iterator[_Entry]:
    if isinstance(document, dict) and "runs" in document:
        yield from _runs(document["runs"], line)
    elif isinstance(document, dict) and isinstance(document.get("findings"), list):
        yield from (_Entry(line, f"findings[{n}]", one, _kingfisher) for n, one in enumerate(document["findings"]))
    elif isinstance(document, list):
        yield from (_Entry(line, f"[{number}]", one, _any) for number, one in enumerate(document))
    elif not _is_aside(document):
        yield _Entry(line, "", document, _any)


def _runs(runs: Json, line: int) -> Iterator[_Entry]:
    if not isinstance(runs, list):
        yield _Entry(line, "runs", runs, _no_list)
        return
    for number, run in enumerate(runs):
        results = run.get("results") if isinstance(run, dict) else None
        if not isinstance(results, list):
            yield _Entry(line, f"runs[{number}].results", results, _no_list)
            continue
        yield from (_Entry(line, f"runs[{number}].results[{n}]", one, _sarif) for n, one in enumerate(results))


def _is_aside(document: Json) -> bool:
    """Whether it is what a scanner says of itself between its findings."""
    return isinstance(document, dict) and (
        {"level", "msg"} <= document.keys() or document.keys() <= {"access_map", "audit"}
    )


def _no_list(_: Json) -> _Result:
    raise _Odd("expected a list, as SARIF 2.1.0 has")


def _any(data: Json) -> _Result:
    if not isinstance(data, dict):
        raise _Odd(f"expected an object; a report is {_FORMS}")
    if "RuleID" in data or "Secret" in data:
        return _gitleaks(data)
    if "DetectorName" in data or "Raw" in data:
        return _trufflehog(data)
    if "finding" in data:
        return _kingfisher(data)
    raise _Odd(
        "expected the keys RuleID and Secret (gitleaks), DetectorName and Raw (trufflehog) or finding (Kingfisher)"
    )


def _sarif(data: Json) -> _Result:
    if not isinstance(data, dict):
        raise _Odd("expected an object")
    rule = _word(data, "ruleId") or _word(data, "rule.id")
    located = data.get("locations") or [{}]
    physical = get(located[0], "physicalLocation") if isinstance(located, list) else None
    if not isinstance(physical or {}, dict):
        raise _Odd("expected a physicalLocation")
    commit = _word(data, "partialFingerprints.commitSha") or _word(located[0], "properties.git_metadata.commit.id")
    place = _place(_word(physical, "artifactLocation.uri"), get(physical or {}, "region.startLine"), commit)
    texts = (_word(physical, "region.snippet.text"),)
    return _Result(texts, place, rule, (_word(physical, "contextRegion.snippet.text"), _word(data, "message.text")))


def _gitleaks(data: Json) -> _Result:
    place = _place(_word(data, "File"), data.get("StartLine"), _word(data, "Commit"))
    return _Result((_needed(data, "Secret"),), place, _word(data, "RuleID"), (_word(data, "Match"),))


def _trufflehog(data: Json) -> _Result:
    sources = get(data, "SourceMetadata.Data") or {}
    source = next((one for one in sources.values() if isinstance(one, dict)), {}) if isinstance(sources, dict) else {}
    place = _place(_word(source, "file") or _word(source, "link"), source.get("line"), _word(source, "commit"))
    raw, both = _needed(data, "Raw"), _word(data, "RawV2")
    if raw and both.endswith(f":{raw}"):  # its AppRole detector has role and secret so
        return _Result((f"role_id {both.removesuffix(raw)} secret_id {raw}", raw), place, _word(data, "DetectorName"))
    return _Result((raw,), place, _word(data, "DetectorName"), (both,))


def _kingfisher(data: Json) -> _Result:
    found = data.get("finding") if isinstance(data, dict) else None
    if not isinstance(found, dict):
        raise _Odd("expected rule and finding, as Kingfisher writes them")
    commit = _word(found, "git_metadata.commit.id") or _word(found, "git_metadata.commit")
    place = _place(_word(found, "path"), found.get("line"), commit)
    return _Result((_needed(found, "snippet"),), place, _word(data, "rule.id"))


def _word(data: Json, dotted: str) -> str:
    found = get(data, dotted)
    return found if isinstance(found, str) else ""


def _needed(data: Json, key: str) -> str:
    if not isinstance(data.get(key), str):
        raise _Odd(f"expected a text at {key}")
    return str(data[key])


def _place(file: str, line: Json, commit: str) -> str:
    where = file or "no file named"
    at = f"{where}:{line}" if isinstance(line, int) and line > 0 else where
    return f"{at}, commit {commit[:_COMMIT]}" if commit else at


def _findings(result: _Result) -> Iterator[Finding]:
    context = " ".join((result.rule, *result.also))
    for text in (*result.texts, *result.also):
        if known := told(text, context):
            yield from (Finding(sort, value, (result.place,), (result.rule,)) for sort, value in known)
            return
    value = next((text.strip() for text in result.texts if text.strip()), "")
    if is_hidden(value) or (not value and any(map(is_hidden, result.also))):
        yield Finding(REDACTED, "", (result.place,), (result.rule,))
    else:
        yield Finding(UNKNOWN if value else ABSENT, value, (result.place,), (result.rule,))


def _joined(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each value once, with all its places; the sort is the first that is known."""
    joined: dict[tuple[str, ...], Finding] = {}
    for one in findings:
        key = (one.value,) if one.value else (one.sort, *one.places)
        other = joined.get(key)
        if other is None:
            joined[key] = one
            continue
        sort = one.sort if other.sort == UNKNOWN else other.sort
        joined[key] = Finding(sort, one.value, _both(other.places, one.places), _both(other.rules, one.rules))
    return tuple(joined.values())


def _both(some: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *more)))
