"""The key of an SSH CA leaked: nothing that it signed may log in any more."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.local import process

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.documents import Json
    from orchestrator.incident.runbooks.drills.stage import Stage

ROLE: dict[str, Json] = {
    "key_type": "ca",
    "allow_user_certificates": True,
    "allowed_users": "ops",
    "default_user": "ops",
    "ttl": "1h",
    "max_ttl": "8h",
}
KRL = "incidents/DRILL-leaked-ssh-ca/revoked.krl"
COPY = "scp incidents/DRILL-leaked-ssh-ca/revoked.krl HOST:/etc/ssh/revoked.krl"


def plant(stage: Stage) -> Planted:
    """Two CAs, each with certificates; ssh-keygen judges them by the list that hosts have."""
    hosts = stage.root / "hosts.krl"
    _keygen(stage.root, "-q", "-k", "-f", str(hosts))
    for mount in ("ssh", "ssh-other"):
        stage.server.write(f"sys/mounts/{mount}", {"type": "ssh"})
        stage.server.write(f"{mount}/config/ca", {"generate_signing_key": True, "key_type": "ed25519"})
        stage.server.write(f"{mount}/roles/operators", ROLE)
    made = {mount: [_certificate(stage, mount, number) for number in range(3)] for mount in ("ssh", "ssh-other")}

    def copied() -> None:
        hosts.write_bytes((stage.root / KRL).read_bytes())

    leaked, others = ([_life(one, hosts) for one in made[mount]] for mount in ("ssh", "ssh-other"))
    return Planted(leaked, [*others, *stage.bystanders(1)], {"mount": "ssh"}, {COPY: copied}, proven=False)


def _certificate(stage: Stage, mount: str, number: int) -> Path:
    key = stage.root / f"{mount}-{number}"
    _keygen(stage.root, "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    public = key.with_suffix(".pub").read_text()
    signed = stage.server.write(f"{mount}/sign/operators", {"public_key": public, "ttl": "1h"})["signed_key"]
    return stage.kept(f"{key.name}-cert.pub", str(signed))


def _life(certificate: Path, hosts: Path) -> Life:
    """A certificate lives as long as the list of the hosts does not refuse it."""

    def lives() -> bool:
        done = _keygen(certificate.parent, "-Q", "-f", str(hosts), str(certificate), check=False)
        if done.returncode and "REVOKED" not in done.stdout:
            raise StrongroomError(f"ssh-keygen does not judge {certificate.name}: {done.stderr.strip()}")
        return done.returncode == 0

    return Life("SSH certificate", lives)


def _keygen(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise StrongroomError("this drill needs ssh-keygen; install the client of OpenSSH")
    return subprocess.run(
        [program, *words], env=process.environment(), cwd=folder, capture_output=True, text=True, check=check
    )
