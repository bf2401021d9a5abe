"""What a KRL says of revoked certificates and keys; whether hosts load it, only they can tell."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.incident import hosts, krl
from orchestrator.incident.model import Proof

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential

_LOAD = "unproven till each host loads it: RevokedKeys in sshd_config"


def listed(_: Ground, revoked: Sequence[Credential]) -> Iterator[Proof]:
    """Each is in the list, or is said not to be; none is proven dead, as no host is ours."""
    for one in revoked:
        file = Path(str(one.facts.get("file") or ""))
        title = f"{one.what} {one.id}"
        if not file.is_file() or not set(hosts.entries(one)) <= krl.parse(file.read_bytes()).entries():
            yield Proof(one.what, title, dead=False, said="it is not in the KRL of the incident; run this again")
        else:
            yield Proof(one.what, title, dead=None, said=f"in {file.name}{_agreed(file, one)}; {_LOAD}")


def _agreed(file: Path, one: Credential) -> str:
    """What ssh-keygen says of it, where there is one and it can be asked."""
    program, public = shutil.which("ssh-keygen"), one.facts.get("public")
    if program is None or not public:
        return ""
    with tempfile.NamedTemporaryFile("w", suffix=".pub") as asked:
        asked.write(f"{public}\n")
        asked.flush()
        done = subprocess.run(
            [program, "-Q", "-f", str(file), asked.name], capture_output=True, text=True, check=False, timeout=30
        )
    return ", ssh-keygen agrees" if done.returncode == 1 and "REVOKED" in done.stdout else ", ssh-keygen does not agree"
