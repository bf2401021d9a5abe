"""ACME with a client that people use: certbot proves a name by DNS and gets what the role allows, nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from orchestrator.catalog.pki_settings import ACME_HEADERS
from orchestrator.local import process
from tests.bench import Bench
from tests.support import free_port, needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack

pytestmark = pytest.mark.server


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Iterator[Bench]:
    with Bench.on(stack, tmp_path, "pki") as found:
        yield found


ANSWER = """\
#!/bin/sh
# A connection that passes by may hold the port for a moment: it has other ones to choose from, this server has not.
for _ in 1 2 3 4 5 6 7 8 9; do
{dnsmasq} --conf-file=/dev/null --port={port} --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts \
--user="$(id -un)" --pid-file={pid} "--txt-record=_acme-challenge.$CERTBOT_DOMAIN,$CERTBOT_VALIDATION" && exit
sleep 1; done; exit 1
"""
STOP = '#!/bin/sh\nkill "$(cat {pid})"\n'


@dataclass(frozen=True)
class Client:
    """certbot, and a name server that answers for as long as a challenge lasts."""

    program: str
    folder: Path
    port: int

    @classmethod
    def ready(cls, folder: Path) -> Client:
        pid = folder / "dnsmasq.pid"
        port = next(port for port in iter(lambda: free_port(socket.SOCK_DGRAM), 0) if process.is_free(port))
        for name, text in (("answer", ANSWER), ("stop", STOP)):
            (folder / name).write_text(text.format(dnsmasq=needs("dnsmasq"), port=port, pid=pid))
            (folder / name).chmod(0o700)
        return cls(needs("certbot"), folder, port)

    def ask(self, directory: str, *words: str) -> subprocess.CompletedProcess[str]:
        own = [f"--{name}-dir={self.folder / name}" for name in ("config", "work", "logs")]
        return subprocess.run(
            [self.program, *words, "--non-interactive", "--server", directory, *own],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def log(self) -> str:
        """What passed between it and the server."""
        return (self.folder / "logs" / "letsencrypt.log").read_text()

    def certificate_for(self, name: str, directory: str, *words: str) -> subprocess.CompletedProcess[str]:
        hooks = [f"--manual-auth-hook={self.folder / 'answer'}", f"--manual-cleanup-hook={self.folder / 'stop'}"]
        manual = ["--manual", "--preferred-challenges=dns", *hooks]
        agreed = ["--agree-tos", "--register-unsafely-without-email", "--key-type=ecdsa"]
        return self.ask(directory, "certonly", "-d", name, *manual, *agreed, *words)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    folder = tmp_path / "certbot"
    folder.mkdir()
    return Client.ready(folder)


def mount(bench: Bench, client: Client, **acme: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting
    """A root with one role, open to ACME clients by that role alone."""
    return {
        "type": "pki",
        "max_lease_ttl": "8760h",
        "allowed_response_headers": list(ACME_HEADERS),
        "root": {"common_name": "ACME Root", "ttl": "8760h"},
        "cluster": {"path": f"{bench.running.address}/v1/{bench.mount}"},
        "acme": {"enabled": True, "allowed_roles": ["web"], "dns_resolver": f"127.0.0.1:{client.port}", **acme},
        "roles": {"web": {"allowed_domains": ["example.org"], "allow_subdomains": True, "ttl": "12h"}},
    }


def directory(bench: Bench) -> str:
    return f"{bench.running.address}/v1/{bench.mount}/roles/web/acme/directory"


def test_certbot_gets_a_certificate_of_the_role_and_revokes_it(bench: Bench, client: Client) -> None:
    bench.one(**mount(bench, client))
    done = client.certificate_for("web.example.org", directory(bench))

    assert done.returncode == 0, done.stdout + done.stderr
    file = client.folder / "config/live/web.example.org/fullchain.pem"
    leaf, root = x509.load_pem_x509_certificates(file.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web.example.org"]
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds() == pytest.approx(12 * 3600, abs=60)
    leaf.verify_directly_issued_by(root)
    assert root.subject.rfc4514_string() == "CN=ACME Root"

    revoked = client.ask(directory(bench), "revoke", "--cert-path", str(file.with_name("cert.pem")))

    assert revoked.returncode == 0, revoked.stdout + revoked.stderr
    serial = ":".join(f"{byte:02x}" for byte in leaf.serial_number.to_bytes(20, "big"))
    assert bench.read(f"cert/{serial}")["revocation_time"] > 0


def test_a_name_outside_the_role_is_refused(bench: Bench, client: Client) -> None:
    bench.one(**mount(bench, client))
    done = client.certificate_for("web.example.net", directory(bench))

    assert done.returncode != 0
    assert "urn:ietf:params:acme:error:rejectedIdentifier" in client.log()


def test_the_mounts_own_directory_is_closed(bench: Bench, client: Client) -> None:
    bench.one(**mount(bench, client))
    done = client.certificate_for("web.example.org", f"{bench.running.address}/v1/{bench.mount}/acme/directory")

    assert done.returncode != 0
    assert "default directory not allowed by ACME policy" in client.log()


def test_an_account_needs_what_the_server_gave_out_where_that_is_asked(bench: Bench, client: Client) -> None:
    bench.one(**mount(bench, client, eab_policy="always-required"))
    without = client.certificate_for("web.example.org", directory(bench))
    given = bench.write("roles/web/acme/new-eab")
    key = ["--eab-kid", given["id"], "--eab-hmac-key", given["key"]]
    bound = client.certificate_for("web.example.org", directory(bench), *key)

    assert without.returncode != 0
    assert bound.returncode == 0, bound.stdout + bound.stderr
