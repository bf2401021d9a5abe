"""What is kept of an incident beside its journal: who was found, by file, each with its hash in the journal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.ground import function
from orchestrator.incident.journal import FILE, Journal, Tampered
from orchestrator.incident.model import Credential
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Line
    from orchestrator.incident.model import Blast

FOLDER = "incidents"
_LONGEST = 100


def folder(root: Path, incident: str) -> Path:
    """The incident's own folder, for its owner alone."""
    if not incident or incident.startswith(".") or not all(one.isalnum() or one in "-_." for one in incident):
        raise StrongroomError(f"--incident {incident!r}: write letters, digits, - _ and . only, such as INC-7")
    if len(incident.encode()) > _LONGEST:
        raise StrongroomError(f"--incident {incident[:12]}..: {_LONGEST} letters at most, such as INC-7")
    return root / FOLDER / incident


def begun(root: Path, incident: str) -> Path:
    """The folder of an incident that has a journal."""
    where = folder(root, incident)
    if not (where / FILE).is_file():
        others = ", ".join(every(root)) or "none"
        raise StrongroomError(f"there is no incident {incident} in {where.parent}; there are: {others}")
    return where


def every(root: Path) -> list[str]:
    """The names of all incidents that have a journal."""
    return sorted(path.parent.name for path in (root / FOLDER).glob(f"*/{FILE}"))


def keep(journal: Journal, found: Blast, owners: Mapping[str, str]) -> None:
    """The blast radius as a file, and its hash as a line."""
    number = sum(1 for _ in journal.of("found")) + 1
    name = f"blast-{number}.json"
    counts: dict[str, int] = {}
    for one in found.credentials:
        counts[one.what] = counts.get(one.what, 0) + 1
    hash_ = store(journal, name, [one.document() for one in found.credentials])
    journal.write(
        "found",
        file=name,
        sha256=hash_,
        counts=counts,
        tokens=found.tokens,
        owners=dict(owners),
        leases=[list(one) for one in found.leases],
        spared=list(found.spared),
    )


def store(journal: Journal, name: str, document: Json) -> str:
    """Write a file beside the journal; its SHA-256."""
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    files.write(journal.path.parent / name, text)
    return hashlib.sha256(text.encode()).hexdigest()


def plant(ground: Ground, journal: Journal, singles: Sequence[Credential]) -> None:
    """Have made, once, what a proof tries later and what cannot be made once its source is shut."""
    planted = {tuple(line.data["key"]) for line in journal.of("planted")}
    for one in singles:
        if one.plant and one.key not in planted:
            journal.write("planted", key=list(one.key), facts=function(one.plant)(ground, one))


def known(journal: Journal) -> list[Credential]:
    """Every credential that was ever found in this incident, once."""
    found: dict[tuple[str, str, str], Credential] = {}
    for line in journal.of("found"):
        found |= {one.key: one for one in map(Credential.of, stored(journal.path.parent, line))}
    planted = {tuple(line.data["key"]): line.data["facts"] for line in journal.of("planted")}
    return [replace(one, facts={**one.facts, **planted.get(one.key, {})}) for one in found.values()]


def stored(folder: Path, line: Line) -> Json:
    """What stands in the file that a line of the journal names, which is as it was written."""
    path = folder / line.data["file"]
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != line.data["sha256"]:
        raise Tampered(f"{path}: this file was {'changed' if content else 'removed'} after it was written")
    return json.loads(content)
