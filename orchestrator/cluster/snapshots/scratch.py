"""A throw-away cluster of this machine with the seal of another: for a drill, and gone after it."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.cluster.machines import choose, local
from orchestrator.cluster.machines.helpers import HELPERS
from orchestrator.cluster.seals import SEALS
from orchestrator.declared import Listener, Node, Seal
from orchestrator.live.secrets import resolve
from orchestrator.local import files, process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.cluster.machines.local import Local
    from orchestrator.cluster.snapshots.ground import Ground
    from orchestrator.declared import Cluster

ENDING = ".drill"  # which no declared name has
_STARTS = 60.0
_CREDENTIALS = (
    "ACCESS_KEY",
    "SECRET_ACCESS",
    "SESSION",
    "PROFILE",
    "REGION",
    "ROLE",
    "WEB_IDENTITY",
    "SHARED_CREDENTIALS",
)
_PASSED_ON = tuple(f"AWS_{name}" for name in _CREDENTIALS)  # of the caller; other clouds' are not taken away


@dataclass(frozen=True)
class Opener:
    """What opens the barrier of the cluster that is drilled: its seal as nodes here need it, and how they find it."""

    seal: Seal
    variables: Mapping[str, str] = field(repr=False)
    ports: tuple[int, ...] | None  # of this machine; None when it is somewhere on the network


@contextmanager
def opener(ground: Ground) -> Iterator[Opener]:
    """The seal, with what stands beside a local cluster running for as long as it is needed."""
    declared = ground.declared
    helper = HELPERS.get(declared.seal.kind) if declared.run == "local" else None
    if helper is None:
        yield _elsewhere(ground)
        return
    home = local.folder(ground.root, declared.name)
    ran = process.alive(home / helper.folder) is not None
    with choose.opened_local(ground.root, declared, ground.environ) as control:
        helper.start(control, declared.seal)
    try:
        seal = replace(declared.seal, settings=helper.settings(home, declared.seal))
        yield Opener(seal, helper.environ(home, declared.seal), helper.ports(home))
    finally:
        if not ran:
            _stop_unused(ground, helper.folder)


def _stop_unused(ground: Ground, folder: str) -> None:
    """End what was started for the drill alone, unless the cluster was brought up meanwhile."""
    with choose.opened_local(ground.root, ground.declared, ground.environ) as control:
        if not any(control.runs(node) for node in ground.declared.nodes):
            process.stop(control.home / folder, signal.SIGTERM)


def _elsewhere(ground: Ground) -> Opener:
    """The declared seal, with the caller's own way to it."""
    kind, settings = SEALS[ground.declared.seal.kind], ground.declared.seal.settings
    passed = {name: value for name, value in ground.environ.items() if name.startswith(_PASSED_ON)}
    for name, secret in kind.secrets.items():
        if name in settings:
            passed[secret.variable] = resolve(str(settings[name]), ground.environ, ground.root)
    plain = {name: value for name, value in settings.items() if name not in kind.secrets}
    return Opener(Seal(kind.name, plain), passed, () if kind.offline else None)


@contextmanager
def standing(ground: Ground, opener: Opener, size: int) -> Iterator[Local]:
    """Empty nodes that run; none of them, and nothing of theirs, afterwards. What a killed drill left goes first."""
    with choose.opened_local(ground.root, scratch(ground.declared, opener.seal, size), ground.environ) as opened:
        control = replace(opened, brought=opener.variables)
        _clear(control)
        try:
            control.place()
            for node in control.cluster.nodes:
                control.install(node)
                control.start(node)
            nodes.wait(control.cluster, "every node answers", lambda seen: all(one.answers for one in seen), _STARTS)
            yield control
        finally:
            _clear(control)


def scratch(declared: Cluster, seal: Seal, size: int) -> Cluster:
    """The cluster as a throw-away one of this machine: its audit devices and its seal are the same."""
    return replace(
        declared,
        name=f"{declared.name}{ENDING}",
        run="local",
        nodes=tuple(Node(f"drill-{number + 1}") for number in range(size)),
        raft=replace(declared.raft, path="", performance_multiplier=1),
        listener=Listener(),
        seal=seal,
        migrate_from=None,
        snapshots=None,
    )


def fetch(ground: Ground) -> None:
    """Have the server's program here, while there is a network to fetch it by."""
    with choose.opened_local(ground.root, scratch(ground.declared, ground.declared.seal, 1), ground.environ) as control:
        control.fetch()


def _clear(control: Local) -> None:
    control.down()
    files.remove(control.home)
