"""The KRL of an incident: what no request ends is in it, and hosts have to load it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident import krl
from orchestrator.incident.journal import now
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Credential

FILE, BEFORE = "revoked.krl", "before.krl"


def existing(path: str) -> bytes:
    """The bytes of the KRL that hosts have so far."""
    try:
        content = Path(path).expanduser().read_bytes()
        krl.parse(content)
    except OSError as error:
        raise StrongroomError(f"--krl {path}: {error.strerror}") from error
    except ValueError as error:
        raise StrongroomError(f"--krl {path}: no KRL: {error}; ssh-keygen -k makes one of a list of keys") from error
    return content


def bring(journal: Journal, content: bytes) -> None:
    """Keep the KRL that hosts have so far, so that the incident's own has all that is in it."""
    journal.write("bringing", file=BEFORE, sha256=hashlib.sha256(content).hexdigest())
    files.write(journal.path.parent / BEFORE, content)


def write(journal: Journal, revoked: Sequence[Credential]) -> None:
    """The KRL with all of them; written again only when something is new."""
    folder = journal.path.parent
    base = krl.parse((folder / BEFORE).read_bytes()) if (folder / BEFORE).exists() else krl.Krl(0, b"", ())
    found = krl.Krl(base.version + 1, base.comment, (*base.sections, *krl.sections(_all(revoked))))
    file = folder / FILE
    if not file.exists() or krl.parse(file.read_bytes()) != krl.parse(found.content(0)):
        content = found.content(int(now().timestamp()))
        journal.write("writing", file=FILE, sha256=hashlib.sha256(content).hexdigest())
        files.write(file, content)
    said = {tuple(line.data["key"]): line.data["facts"] for line in journal.of("planted")}
    for one in revoked:
        if said.get(one.key) != {"file": str(file)}:
            journal.write("planted", key=list(one.key), facts={"file": str(file)})


def _all(revoked: Sequence[Credential]) -> list[krl.Entry]:
    return [entry for one in revoked for entry in entries(one)]


def entries(one: Credential) -> list[krl.Entry]:
    """What stands for it in a KRL."""
    return [
        krl.Entry(what, base64.b64decode(authority), value if what == "serial" else base64.b64decode(value))
        for what, authority, value in one.facts["entries"]
    ]
