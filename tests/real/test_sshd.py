"""SSH with OpenSSH on both ends: a certificate of our role logs in where its principal may, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.bench import Bench
from tests.real.sshd import HOSTS, PEOPLE, new_key, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.local.stack import Stack
    from tests.real.sshd import Host


pytestmark = pytest.mark.server


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Iterator[Bench]:
    with Bench.on(stack, tmp_path, "ssh") as found:
        yield found


MOUNT: dict[str, Any] = {
    "type": "ssh",
    "ca": {"key_type": "ed25519"},
    "roles": {
        "people": PEOPLE,
        "hosts": HOSTS,
        "doors": {"key_type": "otp", "default_user": "ops", "cidr_list": "127.0.0.0/8"},
    },
}


@pytest.fixture
def host(bench: Bench, tmp_path: Path) -> Iterator[Host]:
    bench.one(**MOUNT)
    with running(bench.write, bench.read("config/ca")["public_key"].strip(), tmp_path / "sshd") as found:
        yield found


def test_a_certificate_logs_in_where_its_principal_may(host: Host) -> None:
    done = host.log_in(host.certificate("ops"))

    assert (done.stdout, done.returncode) == ("inside\n", 0), done.stderr + host.log


def test_a_certificate_for_another_principal_is_refused(host: Host) -> None:
    done = host.log_in(host.certificate("deploy"))

    assert "Permission denied (publickey)" in done.stderr
    assert "Certificate does not contain an authorized principal" in host.log


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
