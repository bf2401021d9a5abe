"""Whether evidence is as it was written: its chain, its files, its manifest and its signature, without any server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident import journal, report, seal, sign
from orchestrator.incident.journal import FIRST, Line, Tampered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.sign import Public

BROKEN, UNSEALED = 1, 2


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is not as it was written, and where."""

    file: str
    line: int  # 0 where it is the file as a whole
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True)
class Verified:
    """What was found; `said` tells what there was to hold on to."""

    folder: Path
    lines: int  # how many lines of the journal follow one another
    said: str
    faults: tuple[Fault, ...]
    sealed: bool
    signed_by: Mapping[str, str] | None = None
    key_given: bool = False

    @property
    def code(self) -> int:
        """0 where all is as it was sealed, 1 where something is not, 2 where nothing is sealed yet."""
        if self.faults:
            return BROKEN
        return 0 if self.sealed else UNSEALED

    def document(self) -> dict[str, Json]:
        return {
            "evidence": str(self.folder),
            "lines": self.lines,
            "said": self.said,
            "faults": [vars(one) for one in self.faults],
            "sealed": self.sealed,
            "signed_by": dict(self.signed_by) if self.signed_by else None,
        }


def verify(folder: Path, key: Public | None = None) -> Verified:
    """Every fault at once; `key` is the one that must have signed."""
    path = folder / journal.FILE
    if not path.is_file():
        raise StrongroomError(f"{path}: there is no journal, so there is nothing to verify")
    chain = _chain(path)
    manifest = folder / seal.MANIFEST
    if not manifest.exists():
        return _unsealed(folder, chain, key)
    by, wrong = _signature(folder, key)
    faults = _once([*chain.faults, *_manifest(folder, chain), *wrong])
    said = _said(len(chain.lines), by)
    return Verified(folder, len(chain.lines), said, faults, sealed=True, signed_by=by, key_given=key is not None)


def changed(folder: Path) -> tuple[Fault, ...]:
    """What is not as it was sealed, but for what a report that is made anew replaces."""
    made = {report.MARKDOWN, report.HTML, journal.FILE, seal.SIGNATURE}
    sealed = (folder / seal.MANIFEST).exists()
    return tuple(one for one in verify(folder).faults if one.file not in made) if sealed else ()


def _said(lines: int, by: Mapping[str, str] | None) -> str:
    signed = f"signed by {by.get('key')} ({by.get('fingerprint')}) at {by.get('at')}" if by else "unsigned"
    return f"{lines} lines of the journal and every file of the manifest were looked at; {signed}"


@dataclass(frozen=True)
class _Chain:
    lines: list[Line]  # those that can be read
    count: int  # how many there are
    faults: list[Fault]
    torn: bool  # whether half a line is at the end, as a kill leaves it


def _chain(path: Path) -> _Chain:
    """Each place where the chain is broken."""
    lines: list[Line] = []
    faults: list[Fault] = []
    before, expected = FIRST, 1
    *texts, rest = path.read_bytes().split(b"\n")
    for number, text in enumerate(texts, 1):
        try:
            line = journal.parsed(path, number, text)
        except Tampered as error:
            faults.append(Fault(path.name, number, str(error).partition(f":{number}: ")[2]))
            before, expected = _recorded(text), expected + 1
            continue
        if line.number != expected or before not in {"", line.before}:
            faults.append(Fault(path.name, number, "this line does not follow the one before it"))
        lines.append(line)
        before, expected = line.hash, line.number + 1
    return _Chain(lines, len(texts), faults, bool(rest))


def _recorded(text: bytes) -> str:
    """The hash that a changed line still holds, so that the lines after it are judged by themselves."""
    try:
        found = json.loads(text)["hash"]
    except (ValueError, TypeError, KeyError):
        return ""
    return found if isinstance(found, str) else ""


def _unsealed(folder: Path, chain: _Chain, key: Public | None) -> Verified:
    lines = chain.lines
    state = "finished, and never sealed" if lines and lines[-1].what == "finished" else "unfinished"
    torn = "; half a line follows, as a kill leaves it" if chain.torn else ""
    whole = "the chain is broken" if chain.faults else f"the chain is whole up to line {len(lines)}{torn}"
    faults = (*chain.faults, *_unmanifested(folder, lines, key))
    return Verified(folder, len(lines), f"{state}: {whole}", _once(faults), sealed=False)


def _once(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(dict.fromkeys(sorted(faults)))


def _unmanifested(folder: Path, lines: Sequence[Line], key: Public | None) -> Iterator[Fault]:
    """Without a manifest, what the journal itself says of files; and a signature must have something to sign."""
    yield from _journaled(folder, lines)
    if key is not None or (folder / seal.SIGNATURE).exists():
        yield Fault(seal.MANIFEST, 0, "the manifest is gone, or was never made: there is nothing that is signed")


def _journaled(folder: Path, lines: Sequence[Line]) -> Iterator[Fault]:
    """Files whose hash stands in the journal, by the last line that tells one."""
    named = {str(line.data["file"]): line for line in lines if {"file", "sha256"} <= line.data.keys()}
    for name, line in named.items():
        path = folder / name
        if not path.is_file():
            yield Fault(name, 0, f"this file is missing; {journal.FILE}:{line.number} names it")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != line.data["sha256"]:
            yield Fault(name, 0, f"this file is not the one that {journal.FILE}:{line.number} tells of")


def _read(path: Path) -> tuple[Spec, list[Fault]]:
    """A document of ours, and whether each byte of it is as we write it."""
    content = path.read_bytes()
    try:
        found = json.loads(content)
    except ValueError:
        return {}, [Fault(path.name, 1, "this is no JSON: it was changed after it was written")]
    if not isinstance(found, dict):
        return {}, [Fault(path.name, 1, "this holds something else than what was written")]
    written = seal.text(found).encode(errors="surrogatepass")
    if written != content:
        return found, [Fault(path.name, _first_other(written, content), "this line is not as it was written")]
    return found, []


def _first_other(written: bytes, content: bytes) -> int:
    """The number of the first line that differs."""
    pairs = zip(written.split(b"\n"), content.split(b"\n"), strict=False)
    return next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 1)


def _manifest(folder: Path, chain: _Chain) -> list[Fault]:
    lines = chain.lines
    said, faults = _read(folder / seal.MANIFEST)
    if set(said) != {"files", "incident", "journal", "signed_by"}:
        return [*faults, Fault(seal.MANIFEST, 1, "this is no manifest of an incident")]
    name = next((line.data.get("incident") for line in lines if line.what == "agreed"), folder.name)
    if said["incident"] != name:
        faults.append(Fault(seal.MANIFEST, 1, f"it is the manifest of {said['incident']}, not of {name}"))
    return [*faults, *_tail(said["journal"], chain), *_files(folder, said["files"]), *_journaled(folder, lines)]


def _tail(said: Json, chain: _Chain) -> Iterator[Fault]:
    """Whether the journal ends where the manifest says."""
    if not isinstance(said, dict) or set(said) != {"last", "lines"} or not isinstance(said["lines"], int):
        yield Fault(seal.MANIFEST, 1, "it does not say where the journal ends")
        return
    count = said["lines"]
    ends = {line.number: line.hash for line in chain.lines}
    more = chain.count - count
    if chain.torn:
        yield Fault(journal.FILE, chain.count + 1, "this line has no end")
    if chain.count < count and ends.get(count) != said["last"]:
        yield Fault(journal.FILE, chain.count + 1, f"the end is cut off: the manifest knows {count} lines")
    elif more > 0 and ends.get(count) == said["last"]:
        came = "1 line came" if more == 1 else f"{more} lines came"
        yield Fault(
            journal.FILE,
            count + 1,
            f"from here on {came} after the manifest: a run that is not finished, or somebody who wrote them; read "
            "them, then seal again with incident.report",
        )
    elif ends.get(count) != said["last"]:
        yield Fault(journal.FILE, chain.count, "the journal does not end as the manifest says")


def _files(folder: Path, said: Json) -> Iterator[Fault]:
    if not isinstance(said, dict):
        yield Fault(seal.MANIFEST, 1, "it does not say which files there are")
        return
    there = set(seal.names(folder))
    for name in sorted(there | said.keys()):
        path = folder / name
        if name not in said:
            yield Fault(name, 0, "this file was added: the manifest does not know it")
        elif name not in there:
            yield Fault(name, 0, "this file is missing")
        elif path.is_symlink() or not path.is_file():
            yield Fault(name, 0, "this is no file any more, but something in its place")
        elif {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size} != said[name]:
            yield Fault(name, 0, "this file was changed")


def _signature(folder: Path, key: Public | None) -> tuple[Mapping[str, str] | None, list[Fault]]:
    """Who signed the manifest, and what is wrong with that."""
    path = folder / seal.SIGNATURE
    by = _read(folder / seal.MANIFEST)[0].get("signed_by")
    if not path.exists():
        if by is not None or key is not None:
            wanted = f"by {by.get('key')}" if isinstance(by, dict) else "by the key that was given"
            return None, [Fault(path.name, 0, f"the signature is missing: the manifest must be signed {wanted}")]
        return None, []
    said, faults = _read(path)
    if set(said) != {"algorithm", "at", "fingerprint", "key", "public_key", "signature"}:
        return None, [*faults, Fault(path.name, 1, "this is no signature of a manifest")]
    faults += _told(said, by)
    found = _checked(folder, said, key)
    return ({} if by is None or not isinstance(by, dict) else by) or None, [*faults, *found]


def _told(said: Spec, by: Json) -> Iterator[Fault]:
    if {name: said[name] for name in said if name not in {"public_key", "signature"}} != by:
        yield Fault(seal.SIGNATURE, 1, "it tells another key or time than the manifest that it signs")


def _checked(folder: Path, said: Spec, key: Public | None) -> Iterator[Fault]:
    """The signature by its own key, and that key by the one that was given."""
    try:
        own = sign.public_key(str(said["public_key"]), seal.SIGNATURE)
        signature = base64.b64decode(str(said["signature"]), validate=True)
    except (StrongroomError, binascii.Error, ValueError):
        yield Fault(seal.SIGNATURE, 1, "its key or its signature cannot be read: it was changed")
        return
    if (sign.pem(own), base64.b64encode(signature).decode()) != (said["public_key"], said["signature"]):
        yield Fault(seal.SIGNATURE, 1, "its key or its signature is not as it was written")
    if (sign.fingerprint(own), sign.algorithm(own)) != (said["fingerprint"], said["algorithm"]):
        yield Fault(seal.SIGNATURE, 1, "its fingerprint is not that of its key")
    if not sign.is_right(own, signature, (folder / seal.MANIFEST).read_bytes()):
        yield Fault(seal.SIGNATURE, 1, "the signature is wrong: the manifest is not the one that was signed")
    if key is not None and sign.fingerprint(key) != sign.fingerprint(own):
        told = f"{sign.fingerprint(own)} signed, not {sign.fingerprint(key)}"
        yield Fault(seal.SIGNATURE, 1, f"another key than the one that was given: {told}")
