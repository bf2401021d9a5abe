"""What is rendered, on real servers: they start with it, and Prometheus sees them by it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

import boto3
import pytest

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import authority, emulator
from orchestrator.cluster.render.pods import in_pods
from orchestrator.cluster.render.server import server_hcl, shared_hcl
from orchestrator.cluster.render.tree import rendered
from orchestrator.declared import Node
from orchestrator.live import probe
from orchestrator.local import files, process, servers
from tests.cluster.rendering import BASE, SECONDS, TRANSIT, declared, running, until
from tests.support import REPOSITORY, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.declared import Cluster

pytestmark = pytest.mark.server
VERSIONS = ("2.6.2", "2.7.2")
COMPLAINT = re.compile(r"unknown or unsupported field|unknown field|\[WARN\].*config")


@pytest.fixture(scope="session")
def servers_of() -> Callable[[str], Path]:
    """The program of a release, fetched where it is not there yet."""

    def found(version: str) -> Path:
        home = files.private_folder(REPOSITORY / ".strongroom")
        program = servers.find(home, f"openbao-{version}")
        with files.locked(home / "fetch.lock") as lock:
            servers.fetch(program, lock)
        return program.program

    return found


def one_node(root: Path, version: str, **more: Any) -> tuple[Cluster, Path]:  # noqa: ANN401 - any part of its file
    """A cluster of one node on this machine, with what its machine would have: a certificate, folders, its files."""
    folder = files.private_folder(root / "machine")
    port, cluster_port = process.free_ports(2)
    said = {
        "server": {"product": "openbao", "version": version},
        "storage": {"raft": {"path": str(folder / "data")}},
        "listener": {"tls": {name: str(folder / f"tls/{file}") for name, file in TLS_FILES.items()}},
        "audit": {"file": {"path": str(folder / "audit.log"), "mode": "0600"}},
        "telemetry": {"prometheus_retention": "24h", "unauthenticated_metrics": True},
        **more,
    }
    cluster = declared(root, **said)
    cluster = replace(
        cluster, nodes=(Node("n1", "127.0.0.1", port, cluster_port, "a"),), ca_cert=str(folder / "tls/ca.crt")
    )
    authority.ensure(files.private_folder(root / "ca"), "prod")
    authority.issue(root / "ca", folder / "tls", "n1", ["127.0.0.1"])
    (folder / "data").mkdir()
    files.write(folder / "server.hcl", rendered(cluster)["nodes/n1/server.hcl"])
    return cluster, folder


TLS_FILES = {"certificate": "node.crt", "key": "node.key", "ca": "ca.crt"}


def said_of(cluster: Cluster, path: str, method: str = "GET", body: Any = None) -> probe.Said:  # noqa: ANN401
    return probe.ask(cluster.url(cluster.nodes[0]), path, ca=cluster.ca_cert, method=method, body=body, seconds=SECONDS)


def opened(cluster: Cluster) -> bool:
    return said_of(cluster, "sys/health").status == nodes.ACTIVE


INIT = {"recovery_shares": 1, "recovery_threshold": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_starts_with_what_is_rendered(tmp_path: Path, version: str, servers_of: Callable[[str], Path]) -> None:
    key = files.private_folder(tmp_path / "seal") / "k1.key"
    files.write(key, os.urandom(32))
    seal = {"static": {"current_key_id": "k1", "current_key": f"file://{key}"}}
    cluster, folder = one_node(tmp_path, version, seal=seal)
    unit = rendered(cluster)["nodes/n1/openbao.service"]
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(SECONDS)

    with running(
        folder, servers_of(version), "server", "-config=server.hcl", NOTIFY_SOCKET=str(tmp_path / "notify")
    ) as server:
        assert b"READY=1" in told.recv(4096)
        assert said_of(cluster, "sys/init", "PUT", INIT).ok
        until("the node leads", lambda: opened(cluster))
        metrics = said_of(cluster, "sys/metrics")
        server.send_signal(signal.SIGTERM)
        code = server.wait(20)

    assert "Type=notify" in unit
    assert "KillSignal=SIGTERM" in unit
    assert (metrics.status, code) == (200, 0)
    assert [line for line in (folder / "log").read_text().splitlines() if COMPLAINT.search(line)] == []
    assert (folder / "audit.log").stat().st_mode & 0o777 == 0o600
    told.close()


def _system_calls(systemd: str, group: str) -> set[str]:
    """The system calls of one of systemd's groups."""
    listed = subprocess.run([systemd, "syscall-filter", group], capture_output=True, text=True, check=True).stdout
    words = {line.strip() for line in listed.splitlines()[1:]} - {""}
    inner = {word for word in words if word.startswith("@")}
    calls = {word for word in words - inner if not word.startswith("#")}
    return calls.union(*(_system_calls(systemd, one) for one in inner))


def test_the_unit_allows_what_a_server_asks_of_the_kernel(tmp_path: Path, servers_of: Callable[[str], Path]) -> None:
    strace, systemd = needs("strace"), needs("systemd-analyze")
    key = files.private_folder(tmp_path / "seal") / "k1.key"
    files.write(key, os.urandom(32))
    seal = {"static": {"current_key_id": "k1", "current_key": f"file://{key}"}}
    cluster, folder = one_node(tmp_path, "2.7.2", seal=seal)
    traced = (strace, "--follow-forks", "--quiet=all", f"--output={folder / 'trace'}")

    with running(folder, *traced, servers_of("2.7.2"), "server", "-config=server.hcl") as outer:
        until("it answers", lambda: said_of(cluster, "sys/seal-status").status)
        begun = said_of(cluster, "sys/init", "PUT", INIT)
        until("the node leads", lambda: opened(cluster))
        (server,) = _children(outer.pid)
        os.kill(server, signal.SIGTERM)  # it would not end with the one that watches it
        outer.wait(20)
    lines = (folder / "trace").read_text().splitlines()
    made = {found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line))}
    unit = rendered(cluster)["nodes/n1/openbao.service"].splitlines()

    assert begun.ok
    assert "fdatasync" in made
    assert {"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged"} <= set(unit)
    assert made - (_system_calls(systemd, "@system-service") - _system_calls(systemd, "@privileged")) == set()
    assert [line for line in lines if "PROT_WRITE|PROT_EXEC" in line] == []  # MemoryDenyWriteExecute


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


PLUGIN = {"command": "awskms-plugin", "sha256sum": "0" * 64}
PLUGINS = {"plugin_directory": "/opt/openbao/plugins"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seal", [BASE["seal"], TRANSIT, {"shamir": {}}], ids=["awskms", "transit", "shamir"])
def test_a_server_knows_every_word_of_what_is_rendered(
    tmp_path: Path, version: str, seal: dict[str, Any], servers_of: Callable[[str], Path]
) -> None:
    plugins = {"awskms": PLUGIN} if version == "2.7.2" and seal is BASE["seal"] else {}
    said = {"product": "openbao", "version": version}
    cluster = declared(tmp_path, server=said, seal=seal, plugins=plugins, settings=PLUGINS if plugins else {})
    pods = in_pods(cluster)
    texts = [server_hcl(cluster, cluster.nodes[0]), server_hcl(pods, pods.nodes[0]), shared_hcl(pods)]

    for text in texts:
        (tmp_path / "server.hcl").write_text(text)
        program = str(servers_of(version))
        command = [program, "operator", "validate-config", f"-config={tmp_path / 'server.hcl'}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


ACTIONS = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt")


@contextmanager
def guarded_kms(root: Path, allowed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """A KMS that looks who asks: its address, and the credentials of somebody who may do just this."""
    (port,) = process.free_ports(1)
    folder = files.private_folder(root / "kms")
    key = {"id": "5f0c7d0e-8f0a-4b53-9d0a-2f6f0d6a1b11", "alias": "alias/unseal", "region": "eu-central-1"}
    (folder / "keys.json").write_text(json.dumps([{**key, "material": "A" * 43 + "="}]))
    address = f"http://127.0.0.1:{port}"
    path = os.pathsep.join(sys.path)
    with running(folder, sys.executable, emulator.__file__, "127.0.0.1", str(port), "keys.json", PYTHONPATH=path):
        until("the KMS answers", lambda: _posted(f"{address}/moto-api/", None))
        iam = boto3.client(
            "iam", "us-east-1", endpoint_url=address, aws_access_key_id="local", aws_secret_access_key="local"
        )
        iam.create_user(UserName="node")
        statement = {"Effect": "Allow", "Action": list(allowed), "Resource": "*"}  # it compares no key's name
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName="node", PolicyName="unseal", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName="node")["AccessKey"]
        assert _posted(f"{address}/moto-api/reset-auth", b"0")
        yield (
            address,
            {
                "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
                "AWS_EC2_METADATA_DISABLED": "true",
            },
        )


def _posted(url: str, body: bytes | None) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(Request(url, body, {"Content-Type": "text/plain"}), timeout=5):  # noqa: S310 - our own
            return True
    except OSError:
        return False


def test_three_actions_are_enough_to_unseal(tmp_path: Path, servers_of: Callable[[str], Path]) -> None:
    with guarded_kms(tmp_path, ACTIONS) as (address, environ):
        seal = {"awskms": {"region": "eu-central-1", "kms_key_id": "alias/unseal", "endpoint": address}}
        cluster, folder = one_node(tmp_path, "2.6.2", seal=seal)
        command = (servers_of("2.6.2"), "server", "-config=server.hcl")
        with running(folder, *command, **environ):
            until("it answers", lambda: said_of(cluster, "sys/seal-status").status)
            begun = said_of(cluster, "sys/init", "PUT", INIT)
            assert begun.ok, begun.words
            until("the node leads", lambda: opened(cluster))
        with running(folder, *command, **environ):
            until("it unseals itself", lambda: opened(cluster))


def test_a_server_that_the_kms_refuses_ends_with_1(tmp_path: Path, servers_of: Callable[[str], Path]) -> None:
    with guarded_kms(tmp_path, ("kms:Decrypt", "kms:Encrypt")) as (address, environ):
        seal = {"awskms": {"region": "eu-central-1", "kms_key_id": "alias/unseal", "endpoint": address}}
        _, folder = one_node(tmp_path, "2.6.2", seal=seal)
        with running(folder, servers_of("2.6.2"), "server", "-config=server.hcl", **environ) as server:
            assert server.wait(SECONDS) == 1


def test_a_server_that_may_not_encrypt_does_not_begin(tmp_path: Path, servers_of: Callable[[str], Path]) -> None:
    with guarded_kms(tmp_path, ("kms:Decrypt", "kms:DescribeKey")) as (address, environ):
        seal = {"awskms": {"region": "eu-central-1", "kms_key_id": "alias/unseal", "endpoint": address}}
        cluster, folder = one_node(tmp_path, "2.6.2", seal=seal)
        with running(folder, servers_of("2.6.2"), "server", "-config=server.hcl", **environ):
            until("it answers", lambda: said_of(cluster, "sys/seal-status").status)
            begun = said_of(cluster, "sys/init", "PUT", INIT)

    assert not begun.ok
