"""What several test files need: a project in a folder, and every kind declared in it."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.catalog import CATALOG
from orchestrator.config.checks import lacks
from orchestrator.declared import Cluster
from orchestrator.local import process
from orchestrator.local import stack as local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.local.stack import Stack
    from orchestrator.model import Object

REPOSITORY = Path(__file__).parents[1]
STATIC_ACCOUNT = "orders_owner"
SECRETS = {
    "KERBEROS_KEYTAB": "BQIAAABHAAEAC0VYQU1QTEUuT1JHAAl2YXVsdF9zdmMAAAABZVPxAAIAEgAg"
    "Y2FuYXJ5LWtleXRhYi00ZTE5LWNhbmFyeS1rZXl0YWI=",
    "KUBERNETES_REVIEWER_JWT": "canary-reviewer-2c41",
    "LDAP_BINDPASS": "canary-bind-9e07",
    "OIDC_CLIENT_SECRET": "canary-client-51d8",
    "RADIUS_SECRET": "canary-shared-6b2f",
}
POLICY = 'path "apps/data/payments/*" {\n  capabilities = ["read"]\n}\n'


def everything(
    prefix: str, running: Stack | Cluster, *, without: frozenset[str] = frozenset(), namespace: str = ""
) -> dict[str, Any]:
    """An environment that declares the example of every kind the server has, on mounts that begin with the prefix."""
    document: dict[str, Any] = {"namespace": namespace} if namespace else {}
    cluster = running if isinstance(running, Cluster) else Cluster("test", running.server, running.version)
    for kind in CATALOG.values():
        if kind.name in without or kind.name == "policies" or lacks(kind.absent, cluster) or (namespace and kind.root):
            continue
        example = copy.deepcopy(dict(kind.example))
        for one in kind.objects:
            if lacks(one.absent, cluster) or (namespace and one.root):
                example.pop(one.key, None)
            _name_mounts(one, example.get(one.key), prefix)
        if kind.family == "system":
            document[kind.name] = example
        else:
            document.setdefault(kind.family, {})[f"{prefix}-{kind.name}"] = example
    issuing = {"common_name": "Example Issuing CA", "ttl": "8760h", "signed_by": f"{prefix}-pki"}
    document["secrets"][f"{prefix}-issuing"] = {
        "type": "pki",
        "max_lease_ttl": "8760h",
        "intermediate": issuing,
        "roles": {"web": {"allowed_domains": ["example.org"], "allow_subdomains": True}},
    }
    return document


def _name_mounts(one: Object, example: Any, prefix: str) -> None:  # noqa: ANN401 - any example
    """Examples name other mounts by their kind; here each has the prefix."""
    names = [name for name, field in one.fields.items() if field.names == "auth"]
    for spec in [example] if one.single else (example or {}).values():
        for name in names:
            if spec and name in spec:
                said = spec[name]
                spec[name] = [f"{prefix}-{it}" for it in said] if isinstance(said, list) else f"{prefix}-{said}"


def project(
    root: Path,
    running: Stack,
    name: str,
    document: dict[str, Any],
    *,
    backend: dict[str, Any] | None = None,
    provider: str = "offline",
) -> dict[str, str]:
    """A repository with one environment, and the process environment that its commands run in."""
    cluster = {"terraform": {"provider": provider, **({"backend": backend} if backend else {})}}
    declare(root, {**cluster, "server": {"product": running.server, "version": running.version}}, name, document)
    return {**_referenced(document), **environ(running)}


def declare(root: Path, cluster: dict[str, Any], name: str, document: dict[str, Any]) -> None:
    """A repository with one environment on one cluster."""
    config = root / "vault-config"
    for folder in (config / "environments", config / "clusters", root / "policies"):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(REPOSITORY / "terraform", root / "terraform", dirs_exist_ok=True)
    (config / "clusters" / "test.yaml").write_text(json.dumps({"cluster": "test", **cluster}))
    declared = {"environment": name, "cluster": "test", "owner": "tests", **document}
    (config / "environments" / f"{name}.yaml").write_text(json.dumps(declared))
    if not list((root / "policies").glob("*.hcl")):
        (root / "policies" / "payments-read.hcl").write_text(POLICY)


def _referenced(declared: dict[str, Any]) -> dict[str, str]:
    """A value for each variable that the YAML takes a secret from."""
    names = re.findall(r'"env:(\w+)"', json.dumps(declared))
    return {name: f"canary-{name.lower()}-7f3b" for name in names}


def environ(running: Stack) -> dict[str, str]:
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return {**path, **local.environment(running), "ADA_PASSWORD": "canary-ada-7f3b", **SECRETS}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process of ours takes connections."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"{process.args!r} does not listen")


def no_progress(_: object) -> None:
    """Tests look at the outcome."""


def no_question(_: object) -> None:
    """Tests have said what they want."""


def postgres(running: Stack) -> str:
    return f"postgresql://strongroom:{running.postgres_password}@{running.postgres}/orders"


def needs(program: str) -> str:
    """The path of a program; without it the test is skipped by name, and fails in CI, which installs all of them."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{program} is not installed")
    return found


@contextmanager
def beside(folder: Path, command: Sequence[str], ready: Callable[[int, str], bool]) -> Iterator[None]:
    """A program of a test's own, from when `ready` says so of its pid and its log."""
    log = folder / "log"
    with log.open("w") as output:
        child = subprocess.Popen(command, cwd=folder, env=process.environment(), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 15
        while not ready(child.pid, log.read_text()):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        yield
    finally:
        child.terminate()
        child.wait(10)
