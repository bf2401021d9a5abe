"""Which control a cluster has, and the cluster as it really stands."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import local
from orchestrator.cluster.machines.commands import Commands
from orchestrator.cluster.machines.compose import control
from orchestrator.cluster.machines.compose.control import Compose
from orchestrator.errors import Refused, StrongroomError, Unreachable
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from orchestrator.cluster.machines.control import Control, Machines
    from orchestrator.declared import Cluster

PATIENCE = 10.0
_NO_LOCK = -1


@contextmanager
def opened(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Iterator[Control]:
    """Whoever starts and stops the nodes of this cluster, for one command at a time."""
    if not declared.nodes:
        raise Refused(f"cluster {declared.name} declares no `nodes:`; there is nothing that this command could work on")
    if declared.run in _HERE:
        with opened_here(root, declared, environ) as machines:
            yield machines
        return
    with locked(root, declared):
        yield Commands(root.absolute(), placed(root, declared), environ)


@contextmanager
def locked(root: Path, declared: Cluster) -> Iterator[int]:
    """One command at a time works on this cluster from here."""
    home = files.private_folder(local.folder(root, declared.name))
    who = f"another command has held cluster {declared.name}"
    with files.locked(home / "lock", PATIENCE, who) as lock:
        yield lock


@contextmanager
def opened_here(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Iterator[Machines]:
    """Whoever makes the machines of a cluster that runs here, for one command at a time."""
    refuse_elsewhere(declared)
    with _HERE[declared.run].opened(root, declared, environ) as machines:
        yield machines


def refuse_elsewhere(declared: Cluster) -> None:
    if declared.embedded:
        raise Refused(f"cluster {declared.name} is the embedded stack: invoke up, invoke down")
    if declared.run not in _HERE:
        raise Refused(
            f"cluster {declared.name} is not of this machine; write `run: local` or `run: compose` in its file, "
            "or start it there"
        )


@contextmanager
def opened_compose(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Iterator[Compose]:
    """The containers of a cluster, for one command at a time."""
    if declared.run != "compose":
        raise Refused(f"cluster {declared.name} is not one of containers; write `run: compose` in its file")
    from orchestrator.cluster.machines.compose import engine  # noqa: PLC0415 - its client is slow to import

    with locked(root, declared) as lock, engine.answering():
        yield Compose(root.absolute(), declared, lock, environ)


@contextmanager
def opened_local(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Iterator[local.Local]:
    """The processes of a local cluster, for one command at a time."""
    if declared.run != "local":
        raise Refused(
            f"cluster {declared.name} is not of this machine; write `run: local` in its file, or start it there"
        )
    with locked(root, declared) as lock:
        yield local.Local(root.absolute(), declared, lock, environ)


def placed(root: Path, declared: Cluster) -> Cluster:
    """The cluster with the addresses and the CA by which we find its nodes."""
    if not declared.nodes:
        raise Refused(f"cluster {declared.name} declares no `nodes:`; there is nothing that this command could work on")
    if declared.run in _HERE:
        found = _HERE[declared.run].placed(root, declared)
        if found is None:
            raise Unreachable(_asleep(declared))
    else:
        ca = declared.ca_cert or (declared.listener.tls.ca if declared.listener.tls else "")
        found = replace(declared, ca_cert=str(root / ca) if ca else "")
    if found.ca_cert and not Path(found.ca_cert).is_file():  # else every node would be told to be out of reach
        raise StrongroomError(
            f"cluster {declared.name}: the CA's file {found.ca_cert} is not there, by which its nodes are trusted; "
            "put it back, or correct listener/tls/ca"
        )
    return found


def awake(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Cluster:
    """The cluster as `placed`; Unreachable at once where nothing of it runs, as nobody starts it while we wait."""
    found = placed(root, declared)
    if not any(one.answers for one in nodes.look(found)):
        control = looking(root, declared, environ)
        if all(control.runs(node) is False for node in found.nodes):
            raise Unreachable(_asleep(declared))
    return found


def _asleep(declared: Cluster) -> str:
    return f"cluster {declared.name} does not run; start it: invoke cluster.up -c {declared.name}"


def looking(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Control:
    """Whoever could start and stop its nodes, without the lock: for questions alone."""
    if declared.run in _HERE:
        return _HERE[declared.run].control(root.absolute(), declared, _NO_LOCK, environ)
    return Commands(root.absolute(), placed(root, declared), environ)


@dataclass(frozen=True)
class _Run:
    """A word of `run:`."""

    opened: Callable[[Path, Cluster, Mapping[str, str]], AbstractContextManager[Machines]]
    placed: Callable[[Path, Cluster], Cluster | None]
    control: Callable[[Path, Cluster, int, Mapping[str, str]], Control]


_HERE = {
    "local": _Run(opened_local, local.placed, local.Local),
    "compose": _Run(opened_compose, control.placed, Compose),
}
