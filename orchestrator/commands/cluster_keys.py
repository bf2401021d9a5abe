"""The keys of a cluster: leave a seal for another, rotate, and a root token that ends."""

from __future__ import annotations

import select
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.cluster import between, migrate, root, rotate, shares
from orchestrator.cluster.beginning import without_session
from orchestrator.cluster.machines import choose, local
from orchestrator.cluster.snapshots import ground as snapshots
from orchestrator.cluster.snapshots import take
from orchestrator.commands.cluster import applier
from orchestrator.config import clusters
from orchestrator.config.load import load
from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import FrameType

    from orchestrator.cluster.machines.control import Control
    from orchestrator.cluster.migrate import Migrated, Planned
    from orchestrator.cluster.root import Ended, Root
    from orchestrator.cluster.rotate import Rotated
    from orchestrator.cluster.shares import Share
    from orchestrator.declared import Cluster
    from orchestrator.terraform.stream import Progress


@dataclass(frozen=True)
class Asked:
    """A cluster, where its shares come from, and whom to tell and to ask."""

    root: Path
    name: str
    environ: Mapping[str, str] = field(repr=False)
    tell: Callable[[str], None]
    agree: Callable[[str], None]
    ways: tuple[str, ...] = ()

    @property
    def declared(self) -> Cluster:
        return clusters.named(self.root, self.name, self.environ)

    @property
    def given(self) -> tuple[Share, ...]:
        return shares.given(self.ways)

    def open(self, declared: Cluster) -> AbstractContextManager[Control]:
        return choose.opened(self.root, declared, self.environ)


def moving(asked: Asked) -> between.Ground:
    """What a migration stands on; the shares are read once."""

    def snapshot() -> str:
        return _saved(asked)

    return between.Ground(asked.root, asked.declared, asked.environ, asked.open, asked.given, snapshot, asked.tell)


def migrate_seal(ground: between.Ground, agree: Callable[[Planned], None]) -> Migrated:
    """Show what is to be done, ask, and do it."""
    planned = migrate.planned(ground)
    if planned.steps:
        agree(planned)
    return migrate.migrate(ground)


def _saved(asked: Asked) -> str:
    """A snapshot from before, for the worst case; what it holds is still sealed by the old key."""
    asked.tell("saving a snapshot")
    kept = local.folder(asked.root, asked.name) / "before-migrate-seal"
    to = "" if asked.declared.snapshots else kept.as_uri()
    there = snapshots.ground(asked.root, asked.name, asked.environ, asked.tell, to)
    taken = take.take(there, why="before its seal was left")
    return f"{taken.where}: {taken.manifest.name}" if taken.manifest else taken.where


def rotate_keys(asked: Asked, what: str) -> Rotated:
    declared = asked.declared
    ground = rotate.Ground(asked.root, declared, asked.environ, asked.given, asked.tell, asked.agree)
    return rotate.rotate(ground, what)


def generate_root(asked: Asked, use: Callable[[Root], None], *, unlock: bool) -> Ended:
    ground = root.Ground(
        asked.root, asked.declared, asked.environ, asked.open, asked.given, asked.tell, asked.agree, unlock
    )
    with _interrupted_by(signal.SIGTERM, signal.SIGHUP):
        return root.generate(ground, use)


def end_root(asked: Asked) -> tuple[str, ...]:
    """End what an earlier run left, and make nothing."""
    ground = root.Ground(asked.root, asked.declared, asked.environ, asked.open, asked.given, asked.tell, asked.agree)
    return root.recover(ground)


def applying(asked: Asked, environment: str, progress: Progress) -> Callable[[Root], None]:
    """Apply an environment with the root token."""
    load(asked.root, environment, None)  # its mistakes are told before a token is made

    def use(found: Root) -> None:
        asked.tell(f"applying {environment}")
        applier(asked.root, progress)(environment, {**without_session(asked.environ), **found.environ()})

    return use


def holding(asked: Asked, seconds: float) -> Callable[[Root], None]:
    """Leave the root token in its file for a while: until the time is over, Enter, or an interrupt."""

    def use(found: Root) -> None:
        ways = "Enter ends it" if sys.stdin and sys.stdin.isatty() else "SIGINT or SIGTERM ends it"
        asked.tell(f"the token lies in {found.file} for {seconds:.0f} s; {ways} earlier")
        _wait(seconds)

    return use


def _wait(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            if sys.stdin and sys.stdin.isatty():
                if select.select([sys.stdin], [], [], left)[0]:
                    return
            else:
                time.sleep(left)
    except KeyboardInterrupt:
        return


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Whoever ends us so, or shuts the terminal, gets what is done at an interrupt: the token ends with us."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


def asked_use(asked: Asked, environment: str, hold: float, progress: Progress) -> Callable[[Root], None]:
    """What the token is for; a root token without a purpose is not made."""
    if bool(environment) == bool(hold):
        raise StrongroomError(
            "a root token is made for one purpose and ended then: say --apply ENVIRONMENT, or --hold 10m to have it "
            "in a file for so long"
        )
    return applying(asked, environment, progress) if environment else holding(asked, hold)
