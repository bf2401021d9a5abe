"""What is done with the evidence of an incident: report, verify, status; none of it needs a server."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.context import opened
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import evidence, journal, seal, sign
from orchestrator.incident.verify import Verified, changed, verify
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.incident.seal import Sealed
    from orchestrator.live.server import Server


def report(
    root: Path,
    environ: Mapping[str, str],
    incident: str,
    key: str = "",
    environment: str = "",
    *,
    unsigned: bool = False,
) -> Sealed:
    """Make the report anew, and seal it; a server is asked only where its key is to sign."""
    folder = evidence.begun(root, incident)
    with _server(root, environ, environment) as server, files.locked(folder / journal.LOCK):
        if key:
            sign.signer(key, server)
        if unsigned:
            seal.unsigned(folder)
        elif found := changed(folder):
            told = "\n".join(str(one) for one in found)
            raise Refused(f"{incident} is not as it was sealed; --unsigned seals what is there now\n{told}")
        return seal.seal(folder, key, server, journal.now)


@contextmanager
def _server(root: Path, environ: Mapping[str, str], environment: str) -> Iterator[Server | None]:
    with opened(root, environment, environ) if environment else nullcontext() as context:
        yield context.session.server if context else None


def verified(root: Path, incident: str, key: str = "") -> Verified:
    """Whether the evidence of an incident, or of a folder that is a copy of one, is as it was written."""
    folder = Path(incident) if os.sep in incident else evidence.folder(root, incident)
    return verify(folder, _key(Path(key)) if key else None)


def _key(path: Path) -> sign.Public:
    try:
        content = path.expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is no PEM"
        raise StrongroomError(f"--key {path}: {why}") from None
    return sign.public_key(content, f"--key {path}")
