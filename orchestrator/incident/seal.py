"""The end of evidence: a manifest of every file with its hash, and a signature of the manifest."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import report, sign
from orchestrator.incident.journal import LOCK
from orchestrator.incident.story import Story, story
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.sign import Signer
    from orchestrator.live.server import Server

Result = TypeVar("Result")

MANIFEST, SIGNATURE = "manifest.json", "signature.json"
BESIDE = frozenset({MANIFEST, SIGNATURE, LOCK})  # what no manifest speaks of
_HALF_WRITTEN = re.compile(r"^\..+\.[a-z0-9_]{8}$")  # what `files.write` leaves when it is killed


@dataclass(frozen=True)
class Sealed:
    """How the evidence stands after a report was made."""

    folder: Path
    finished: bool
    signer: Mapping[str, str] | None
    unsigned: str = ""  # why the key that was named did not sign

    @property
    def code(self) -> int:
        return 1 if self.unsigned else 0

    def document(self) -> dict[str, Json]:
        made = [report.MARKDOWN, report.HTML, *([MANIFEST] if self.finished else [])]
        return {
            "evidence": str(self.folder),
            "files": [*made, *([SIGNATURE] if self.signer else [])],
            "finished": self.finished,
            "signed_by": dict(self.signer) if self.signer else None,
            "unsigned": self.unsigned or None,
        }


def seal(folder: Path, way: str, server: Server | None, clock: Callable[[], datetime]) -> Sealed:
    """Make the report, and where the incident is finished the manifest, signed by the key that `way` names.

    Where it names none, a signature that still fits stays; one that no longer would is never dropped in silence.
    """
    told = story(folder)
    if told.code is None:
        report.write(told, None)
        return Sealed(folder, finished=False, signer=None)
    _tidy(folder)
    if not way:
        return _as_before(told)
    try:
        by = _signed(told, sign.signer(way, server), clock().isoformat(timespec="seconds"))
    except StrongroomError as error:
        return replace(_at_least(told), unsigned=str(error))
    return Sealed(folder, finished=True, signer=by)


def _at_least(told: Story) -> Sealed:
    """Seal though the key does not sign: what it signed before stays where it still fits."""
    try:
        return _as_before(told)
    except Refused:
        return _unsigned(told)


def _as_before(told: Story) -> Sealed:
    """Seal with the signature that is there, if it still fits, else with none."""
    by = signed_by(told.folder)
    if by is None:
        return _unsigned(told)
    kept = (told.folder / MANIFEST).read_bytes()
    report.write(told, by)
    if text(document(told.folder, told, by)).encode() != kept:
        raise Refused(
            f"{told.incident} was signed by {by['key']}, and has changed since: say --sign to sign it again, "
            "or --unsigned to leave it without"
        )
    return Sealed(told.folder, finished=True, signer=by)


def _unsigned(told: Story) -> Sealed:
    (told.folder / SIGNATURE).unlink(missing_ok=True)
    report.write(told, None)
    files.write(told.folder / MANIFEST, text(document(told.folder, told, None)))
    return Sealed(told.folder, finished=True, signer=None)


def unsigned(folder: Path) -> None:
    """Take the signature away, so that the evidence is sealed without one."""
    (folder / SIGNATURE).unlink(missing_ok=True)


def _signed(told: Story, signer: Signer, at: str) -> Mapping[str, str]:
    by = {**signer.document(), "at": at}
    report.write(told, by)
    manifest = text(document(told.folder, told, by))
    signature = base64.b64encode(signer.sign(manifest.encode())).decode()
    files.write(told.folder / MANIFEST, manifest)
    document_ = {**by, "public_key": sign.pem(signer.public), "signature": signature}
    files.write(told.folder / SIGNATURE, text(document_))
    return by


def signed_by(folder: Path) -> Mapping[str, str] | None:
    """Who signed, by the manifest's own word; None where nobody did."""
    with suppress(OSError, ValueError):
        by = json.loads((folder / MANIFEST).read_bytes()).get("signed_by")
        return by if isinstance(by, dict) and (folder / SIGNATURE).exists() else None
    return None


def document(folder: Path, told: Story, by: Mapping[str, str] | None) -> Spec:
    """What a manifest of the folder as it is says."""
    return {
        "incident": told.incident,
        "journal": {"lines": len(told.lines), "last": told.lines[-1].hash},
        "files": {name: described(folder / name) for name in names(folder)},
        "signed_by": dict(by) if by else None,
    }


def names(folder: Path) -> list[str]:
    """Every file that a manifest speaks of, in all folders below."""
    every = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(name for name in every if name not in BESIDE or (name == LOCK and (folder / name).stat().st_size))


def described(path: Path) -> dict[str, Json]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def text(document: Json) -> str:
    """How a manifest and a signature are written, to the byte."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _tidy(folder: Path) -> None:
    for path in folder.iterdir():
        if _HALF_WRITTEN.match(path.name):
            path.unlink()


def sealed(
    folder: Path, way: str, server: Server | None, clock: Callable[[], datetime], act: Callable[[], Result]
) -> tuple[Result, Sealed]:
    """What an incident does, and how it was sealed; of one that is broken off there is a report at least."""
    try:
        done = act()
    except BaseException:
        with suppress(StrongroomError, OSError):
            report.write(story(folder), None)
        raise
    return done, seal(folder, way or _key_before(folder), server, clock)


def _key_before(folder: Path) -> str:
    by = signed_by(folder)
    return by["key"] if by else ""
