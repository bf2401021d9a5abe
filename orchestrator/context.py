"""An environment, known to be right, with a session on its server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.config.load import load
from orchestrator.declared import Cluster
from orchestrator.instances import Instance, instances
from orchestrator.live.secrets import resolve_all
from orchestrator.live.session import Session, connect
from orchestrator.local import stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.declared import Environment

STATE = ".strongroom"


@dataclass(frozen=True)
class Context:
    """What every command on a live server starts from."""

    root: Path
    environment: Environment
    session: Session
    instances: tuple[Instance, ...]
    environ: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)

    @property
    def server(self) -> str:
        return str(self.session)

    @property
    def home(self) -> dict[str, str]:
        """Which server and namespace a state belongs to."""
        return {"cluster_id": self.session.cluster_id, "namespace": self.session.namespace}


@contextmanager
def opened(root: Path, name: str, environ: Mapping[str, str], *, secrets: bool = False) -> Iterator[Context]:
    """The environment, valid and connected; a login of ours ends with the block."""
    declared = load(root, name, None)
    full = {**local(root, declared), **environ}
    if not declared.cluster.embedded:  # the embedded stack fills placeholders only while it runs
        declared = load(root, name, full)
    session = connect(declared.cluster, declared.namespace, environ, root)
    try:
        declared = load(root, name, full)
        every = instances(declared, session.namespace)
        values = _resolved(every, full, root, session) if secrets else {}
        yield Context(root, declared, session, every, full, values)
    finally:
        session.close()


@contextmanager
def unconfigured(root: Path, environ: Mapping[str, str]) -> Iterator[Session]:
    """A session as the environment variables alone say, for when the YAML cannot be relied on."""
    session = connect(Cluster("none", "", ""), "", environ, root)
    try:
        yield session
    finally:
        session.close()


def local(root: Path, declared: Environment) -> dict[str, str]:
    """What the embedded stack tells its own environments: addresses and passwords, but not who to be."""
    if not declared.cluster.embedded:
        return {}
    running = stack.current(root)
    known = stack.environment(running) if running else {}
    return {name: value for name, value in known.items() if not name.startswith("VAULT_")}


def _resolved(every: Sequence[Instance], environ: Mapping[str, str], root: Path, session: Session) -> dict[str, str]:
    wanted = {one.secret_key(attribute): reference for one in every for attribute, reference, _ in one.secrets()}
    return resolve_all(wanted, environ, root, session.server)
