"""A cluster's file for what is rendered of it, and programs that take what is rendered."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.config import clusters
from orchestrator.local import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.declared import Cluster

NAME = "prod"
SECONDS = 30.0
CANARY = "canary-7d31"
BASE: dict[str, Any] = {
    "cluster": NAME,
    "server": {"product": "openbao", "version": "2.6.2"},
    "address": "https://vault.example.org:8200",
    "nodes": {
        f"vault-{number}": {"address": f"10.0.{number}.11", "zone": zone} for number, zone in enumerate("abc", 1)
    },
    "storage": {"raft": {"path": "/opt/openbao/data"}},
    "seal": {
        "awskms": {
            "region": "eu-central-1",
            "kms_key_id": "alias/unseal",
            "access_key": "env:UNSEAL_ID",
            "secret_key": "env:UNSEAL_KEY",
        }
    },
    "listener": {
        "tls": {"certificate": "tls/node.crt", "key": "tls/node.key", "ca": "tls/ca.crt", "min_version": "tls13"}
    },
    "audit": {"file": {"path": "/var/log/openbao/audit.log", "mode": "0600"}, "syslog": {"facility": "AUTH"}},
    "telemetry": {"prometheus_retention": "24h"},
    "snapshots": {"every": "6h", "keep": 28, "to": "file:///var/backups/openbao"},
}
VAULT: dict[str, Any] = {
    "server": {"product": "vault", "version": "1.19"},
    "storage": {"raft": {"path": "/opt/vault/data"}},
    "audit": {"file": {"path": "/var/log/vault/audit.log"}},
}
TRANSIT: dict[str, Any] = {
    "transit": {
        "address": "https://unseal.example.org",
        "key_name": "u",
        "mount_path": "t/",
        "token": "env:UNSEAL_TOKEN",
    }
}
SECRETS = {"UNSEAL_ID": f"{CANARY}-id", "UNSEAL_KEY": f"{CANARY}-key", "UNSEAL_TOKEN": f"{CANARY}-token"}


def write(root: Path, **more: Any) -> None:  # noqa: ANN401 - any part of a cluster's file
    folder = root / "vault-config" / "clusters"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.yaml").write_text(json.dumps({**BASE, **more}))


def declared(root: Path, **more: Any) -> Cluster:  # noqa: ANN401 - the same
    write(root, **more)
    return clusters.named(root, NAME, SECRETS)


def until(what: str, ready: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is waited for
    found = process.until(lambda: ready() or None, SECONDS)
    assert found is not None, what
    return found


@contextmanager
def running(folder: Path, *command: str | Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of a test's own; whatever it says goes to `log`."""
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(
            command, cwd=folder, env={**process.environment(), **more}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(5)
