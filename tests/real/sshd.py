"""An sshd of a test's own, which trusts a mount's CA, and a person who logs in with a certificate of it."""

from __future__ import annotations

import getpass
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import free_port, needs, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Write = Callable[..., Mapping[str, Any]]

PEOPLE = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "ops,deploy"}
HOSTS = {"key_type": "ca", "allow_host_certificates": True, "allowed_domains": "127.0.0.1", "allow_bare_domains": True}
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
HostCertificate {folder}/host-cert.pub
TrustedUserCAKeys {folder}/ca.pub
RevokedKeys {folder}/revoked.krl
AuthorizedPrincipalsFile {folder}/principals
AuthorizedKeysFile none
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
"""


@dataclass(frozen=True)
class Host:
    """An sshd that trusts the mount's CA, takes the principal `ops`, and refuses what its KRL says."""

    write: Write  # a request on the mount: its path, and what it carries
    folder: Path
    port: int

    def certificate(self, principal: str, name: str = "") -> Path:
        """A new key of a person, with the certificate beside it."""
        key = self.folder / (name or principal)
        new_key(key)
        self.sign(key, principal)
        return key

    def sign(self, key: Path, principal: str) -> None:
        public = key.with_suffix(".pub").read_text()
        signed = self.write("sign/people", public_key=public, valid_principals=principal, ttl="5m")
        certificate(key).write_text(signed["signed_key"])

    def log_in(self, key: Path) -> subprocess.CompletedProcess[str]:
        known = self.folder / "known_hosts"
        options = {
            "UserKnownHostsFile": known,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "HostKeyAlgorithms": "ssh-ed25519-cert-v01@openssh.com",
        }
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        target = f"{getpass.getuser()}@127.0.0.1"
        return subprocess.run(
            [needs("ssh"), "-F", "none", "-p", str(self.port), "-i", str(key), *given, target, "echo", "inside"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            stdin=subprocess.DEVNULL,
        )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def certificate(key: Path) -> Path:
    """Where ssh looks for the certificate of a key."""
    return key.with_name(f"{key.name}-cert.pub")


def new_key(path: Path) -> None:
    made = [needs("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(made, check=True, timeout=30)


@contextmanager
def running(write: Write, authority: str, folder: Path) -> Iterator[Host]:
    """A host that runs; the mount has the roles `people` and `hosts`, and this public key as its CA."""
    program = needs("sshd")
    folder.mkdir()
    new_key(folder / "host")
    public = (folder / "host.pub").read_text()
    signed = write("sign/hosts", public_key=public, cert_type="host", valid_principals="127.0.0.1")
    port = free_port()
    for name, text in {
        "host-cert.pub": signed["signed_key"],
        "ca.pub": f"{authority}\n",
        "principals": "ops\n",
        "revoked.krl": "",
        "known_hosts": f"@cert-authority [127.0.0.1]:{port} {authority}\n",
        "config": CONFIG.format(port=port, folder=folder),
    }.items():
        (folder / name).write_text(text)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a privileged sshd hides; Debian makes it when it boots
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        wait_for(port, server)
        yield Host(write, folder, port)
    finally:
        server.terminate()
        server.wait(10)
