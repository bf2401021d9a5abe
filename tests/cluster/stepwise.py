"""A migration that dies after so many of its effects: python stepwise.py ROOT CLUSTER COUNT."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cluster import migrate
from orchestrator.commands import cluster_keys
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.machines.control import Control
    from orchestrator.declared import Cluster, Node


def tell(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


@dataclass
class Fuse:
    """Burns with every effect, and kills at the last."""

    left: int

    def burn(self, what: str) -> None:
        tell(what)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Dying:
    """A real `Control`, after whose every effect the fuse burns."""

    real: Control
    fuse: Fuse

    @property
    def cluster(self) -> Cluster:
        return self.real.cluster

    def require(self, *verbs: str) -> None:
        self.real.require(*verbs)

    def prepare(self) -> None:
        self.real.prepare()

    def install(self, node: Node) -> None:
        self.real.install(node)
        self.fuse.burn(f"installed {node.name}")

    def start(self, node: Node) -> None:
        self.real.start(node)
        self.fuse.burn(f"started {node.name}")

    def stop(self, node: Node) -> None:
        self.real.stop(node)
        self.fuse.burn(f"stopped {node.name}")

    def runs(self, node: Node) -> bool | None:
        return self.real.runs(node)

    def is_current(self, node: Node) -> bool | None:
        return self.real.is_current(node)

    def wipe(self, node: Node) -> None:
        self.real.wipe(node)

    def why(self, node: Node) -> str:
        return self.real.why(node)


def main(root: str, cluster: str, count: str) -> None:
    fuse = Fuse(int(count))
    environ = {"PATH": os.environ["PATH"]}
    ground = cluster_keys.moving(cluster_keys.Asked(Path(root), cluster, environ, tell, tell))
    opened = ground.open

    @contextmanager
    def dying(declared: Cluster) -> Iterator[Control]:
        with opened(declared) as control:
            yield Dying(control, fuse)

    write = files.write

    def writing(path: Path, content: str | bytes) -> None:
        write(path, content)
        if path.name == "migration.json":
            fuse.burn("noted")

    files.write = writing
    migrate.migrate(replace(ground, open=dying))


if __name__ == "__main__":
    main(*sys.argv[1:])
