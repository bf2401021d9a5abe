"""SSH with OpenSSH on both ends: a certificate of our role logs in where its principal may, and nowhere else."""

from __future__ import annotations

import getpass
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench import Bench
from tests.support import free_port, needs, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.local.stack import Stack


pytestmark = pytest.mark.server


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Iterator[Bench]:
    with Bench.on(stack, tmp_path, "ssh") as found:
        yield found


MOUNT: dict[str, Any] = {
    "type": "ssh",
    "ca": {"key_type": "ed25519"},
    "roles": {
        "people": {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "ops,deploy"},
        "hosts": {
            "key_type": "ca",
            "allow_host_certificates": True,
            "allowed_domains": "127.0.0.1",
            "allow_bare_domains": True,
        },
        "doors": {"key_type": "otp", "default_user": "ops", "cidr_list": "127.0.0.0/8"},
    },
}
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
HostCertificate {folder}/host-cert.pub
TrustedUserCAKeys {folder}/ca.pub
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
    """An sshd that trusts the mount's CA and takes the principal `ops`."""

    bench: Bench
    folder: Path
    port: int

    def certificate(self, principal: str) -> Path:
        """A new key of a person, with the certificate beside it."""
        key = self.folder / principal
        new_key(key)
        public = key.with_suffix(".pub").read_text()
        signed = self.bench.write("sign/people", public_key=public, valid_principals=principal, ttl="5m")
        key.with_name(f"{key.name}-cert.pub").write_text(signed["signed_key"])
        return key

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


def new_key(path: Path) -> None:
    made = [needs("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(made, check=True, timeout=30)


@pytest.fixture
def host(bench: Bench, tmp_path: Path) -> Iterator[Host]:
    program, folder = needs("sshd"), tmp_path / "sshd"
    folder.mkdir()
    bench.one(**MOUNT)
    new_key(folder / "host")
    public = (folder / "host.pub").read_text()
    signed = bench.write("sign/hosts", public_key=public, cert_type="host", valid_principals="127.0.0.1")
    authority = bench.read("config/ca")["public_key"].strip()
    port = free_port()
    for name, text in {
        "host-cert.pub": signed["signed_key"],
        "ca.pub": f"{authority}\n",
        "principals": "ops\n",
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
        yield Host(bench, folder, port)
    finally:
        server.terminate()
        server.wait(10)


def test_a_certificate_logs_in_where_its_principal_may(host: Host) -> None:
    done = host.log_in(host.certificate("ops"))

    assert (done.stdout, done.returncode) == ("inside\n", 0), done.stderr + (host.folder / "log").read_text()


def test_a_certificate_for_another_principal_is_refused(host: Host) -> None:
    done = host.log_in(host.certificate("deploy"))

    assert "Permission denied (publickey)" in done.stderr
    assert "Certificate does not contain an authorized principal" in (host.folder / "log").read_text()


def test_a_key_without_a_certificate_is_refused(host: Host) -> None:
    new_key(host.folder / "bare")

    assert "Permission denied (publickey)" in host.log_in(host.folder / "bare").stderr


def test_a_one_time_password_opens_once(bench: Bench) -> None:
    bench.one(**MOUNT)
    password = bench.write("creds/doors", ip="127.0.0.1")["key"]
    used = bench.write("verify", otp=password)

    assert (used["ip"], used["username"], used["role_name"]) == ("127.0.0.1", "ops", "doors")
    with pytest.raises(Exception, match="OTP not found"):
        bench.write("verify", otp=password)
