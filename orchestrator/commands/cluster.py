"""Clusters: bring one up, begin it, take it down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.cluster import beginning, keys, nodes
from orchestrator.cluster.beginning import Begun, Ground
from orchestrator.cluster.machines import choose, local
from orchestrator.cluster.members import is_version
from orchestrator.commands import plan as plans
from orchestrator.config import clusters
from orchestrator.config.load import load
from orchestrator.config.tree import environments, whole
from orchestrator.errors import StrongroomError
from orchestrator.local import files
from orchestrator.terraform.workspace import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.cluster.machines.control import Machines
    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Cluster, Node
    from orchestrator.terraform.stream import Progress

_STARTS = 60.0


@dataclass(frozen=True)
class Raised:
    """A cluster that runs; `begun` when this run initialised it."""

    cluster: Cluster
    seen: tuple[Seen, ...]
    begun: Begun | None


def up(root: Path, name: str, environ: Mapping[str, str], tell: Callable[[str], None], progress: Progress) -> Raised:
    """Start every node of a cluster that runs here, and begin the cluster if it is new."""
    declared = clusters.named(root, name, environ)
    choose.refuse_elsewhere(declared)
    check(root, declared)
    with choose.opened_here(root, declared, environ) as control:
        control.place(tell)
        for node in control.cluster.nodes:
            control.install(node)
        for node in control.cluster.nodes:
            if not control.runs(node):
                tell(f"starting {node.name}")
            control.start(node)
        cluster = control.cluster
        ground = Ground(root, cluster, control, environ, applier(root, progress), tell)
        begun = beginning.begin(ground) if _is_new(root, cluster, control) else None
        beginning.unlock(ground)
        seen = nodes.wait(cluster, "every node is open, and one leads", _serves, _STARTS)
        _tell_old(control, seen, tell)
        return Raised(cluster, seen, begun)


def _tell_old(control: Machines, seen: Sequence[Seen], tell: Callable[[str], None]) -> None:
    """What runs is left as it is: one node after the other is for an upgrade."""
    wanted, name = control.cluster.version, control.cluster.name
    others = [one.node.name for one in seen if not is_version(wanted, one.version) or not control.is_current(one.node)]
    if others:
        tell(f"{', '.join(others)}: runs what was declared before; change it by invoke cluster.upgrade -c {name}")


def check(root: Path, declared: Cluster) -> None:
    """What the beginning will need, before anything is begun."""
    beginning.check(declared)
    load(root, declared.init.environment, None)


def _is_new(root: Path, cluster: Cluster, control: Machines) -> bool:
    """Whether it is empty, or an earlier beginning did not end; nodes with a lost storage may never answer."""
    if keys.is_begun(keys.folder(root, cluster)):
        return True
    seen = nodes.wait(cluster, "every node answers", _Starting(control), _STARTS)
    return not any(one.initialised for one in seen)


@dataclass
class _Starting:
    """Whether every node answers. One that ended is started once more: it may have been ending when `up` came."""

    control: Machines
    again: set[str] = field(default_factory=set)

    def __call__(self, seen: Sequence[Seen]) -> bool:
        silent = [one.node for one in seen if not one.answers]
        for node in silent:
            if self.control.runs(node) is False:
                self._start(node)
        return not silent

    def _start(self, node: Node) -> None:
        if node.name in self.again:
            raise StrongroomError(f"{node.name} ends as soon as it is started; its log says:\n{self.control.why(node)}")
        self.again.add(node.name)
        self.control.start(node)


def _serves(seen: Sequence[Seen]) -> bool:
    return not any(one.sealed for one in seen) and nodes.leader(seen) is not None


def applier(root: Path, progress: Progress) -> Callable[[str, Mapping[str, str]], None]:
    def apply(environment: str, environ: Mapping[str, str]) -> None:
        asked = plans.Asked(many=True)
        done = plans.apply(root, environment, environ, progress, lambda _: None, asked)
        if done.code:
            failed = "; ".join(f"{one.title}: {one.reason}" for one in done.proofs if not one.ok) or "changes are left"
            raise StrongroomError(f"the first apply of {environment} is not whole: {failed}")

    return apply


def down(
    root: Path,
    name: str,
    environ: Mapping[str, str],
    *,
    wipe: bool,
    agree: Callable[[], None],
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[str, ...]:
    """Stop all that runs here of a cluster; with `wipe`, delete what it kept."""
    left = None if name in clusters.names(root) else local.left(root, name)
    declared = left or clusters.named(root, name, environ)
    if wipe:
        agree()
    with choose.opened_here(root, declared, environ) as control:
        stopped = control.down()
        if wipe:
            for environment in _environments(root, name):  # what Terraform knew of it is gone with it
                files.remove(folder_of(root, environment))
            control.forget()
            if kept := _elsewhere(root, declared):
                tell(f"left, as it is not in the cluster's folder: {', '.join(kept)}; move it away before the next up")
        return stopped


def _elsewhere(root: Path, declared: Cluster) -> list[str]:
    """What the beginning wrote into places that the cluster's file names."""
    login = declared.login.settings.values() if declared.login else ()
    written = [one.removeprefix("file:") for one in login if one.startswith("file:")]
    return [one for one in (declared.init.keys, *written) if one and (root / one).exists()]


def build(root: Path, name: str, environ: Mapping[str, str], tell: Callable[[str], None]) -> tuple[str, ...]:
    """Make the images of a cluster of containers, without starting any."""
    declared = clusters.named(root, name, environ)
    with choose.opened_compose(root, declared, environ) as containers:
        return containers.build(tell)


def _environments(root: Path, cluster: str) -> list[str]:
    """The environments of a cluster."""
    named = {name: whole(root, name, []) for name in environments(root)}
    places = {name: node.at(["cluster"]) if node else None for name, node in named.items()}
    return [name for name, place in places.items() if place and place.value == cluster]
