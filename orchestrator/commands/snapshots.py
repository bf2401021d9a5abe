"""Snapshots of a cluster: take one, list them, restore one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster.snapshots import drill, find, restore, take
from orchestrator.cluster.snapshots.ground import Ground, ground, now
from orchestrator.errors import Refused, StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.cluster.snapshots.drill import Drilled
    from orchestrator.cluster.snapshots.manifest import Manifest
    from orchestrator.cluster.snapshots.places import Kept
    from orchestrator.cluster.snapshots.restore import Intended, Restored
    from orchestrator.cluster.snapshots.take import Taken
    from orchestrator.declared import Cluster

    Tell = Callable[[str], None]

OVERDUE = 1
SIZES = 1, 3, 5


@dataclass(frozen=True)
class Row:
    """One snapshot in a list; `wrong` says why it is not whole."""

    manifest: Manifest
    age: float
    wrong: str


@dataclass(frozen=True)
class Listed:
    """The snapshots of a cluster, the newest first, and whether the newest whole one is old enough to worry."""

    cluster: str
    where: str
    rows: tuple[Row, ...]
    overdue: str
    drilled: Drilled | None  # last, from this machine

    @property
    def code(self) -> int:
        return OVERDUE if self.overdue else 0


def snapshot(
    root: Path, name: str, environ: Mapping[str, str], tell: Tell, *, to: str = "", if_due: bool = False
) -> Taken:
    return take.take(ground(root, name, environ, tell, to), if_due=if_due)


def listed(
    root: Path, name: str, environ: Mapping[str, str], tell: Tell, *, to: str = "", check: bool = False
) -> Listed:
    """What is kept; `check` reads every byte of it."""
    here = ground(root, name, environ, tell, to)
    place = here.place
    rows = tuple(Row(one.manifest, one.manifest.age(now()), _wrong(here, one, check=check)) for one in place.kept())
    return Listed(name, place.where, rows, _overdue(here, rows), drill.last(here))


def _wrong(here: Ground, one: Kept, *, check: bool) -> str:
    if one.size is None:
        return "only its manifest is there"
    if not one.whole:
        return f"it has {one.size} bytes of {one.manifest.size}"
    if take.ahead(one.manifest):
        return f"a clock was wrong: it is dated {take.told(-one.manifest.age(now()))} ahead"
    if not check:
        return ""
    try:
        here.tell(f"reading {one.manifest.name}")
        with find.found(here, one.manifest.name):
            return ""
    except StrongroomError as error:
        return str(error)


def _overdue(here: Ground, rows: tuple[Row, ...]) -> str:
    said = here.declared.snapshots
    if said is None:
        return ""
    newest = next((row for row in rows if not row.wrong and not row.manifest.why), None)
    return take.overdue(here.declared, newest.manifest if newest else None)


def restored(
    root: Path,
    name: str,
    environ: Mapping[str, str],
    tell: Tell,
    snapshot: str,
    *,
    empty: bool,
    to: str,
    yes: str,
    show: Callable[[Intended], None],
    ask: Callable[[Intended], None],
) -> Restored:
    """Show what a restore would replace, have it agreed to, and do it."""

    def agree(intended: Intended) -> None:
        show(intended)
        if not yes:
            ask(intended)
        elif yes != intended.digest:
            raise Refused(f"--yes {yes} is not what would be done now: that is {intended.digest}; look at it again")

    return restore.restore(ground(root, name, environ, tell, to), snapshot, agree, empty=empty)


def drilled(
    root: Path, name: str, environ: Mapping[str, str], tell: Tell, *, size: int, to: str, connected: bool
) -> Drilled:
    """Restore the newest snapshot into a throw-away cluster, and see what is in it."""
    if size not in SIZES:
        raise StrongroomError(f"--nodes {size}: write one of {', '.join(map(str, SIZES))}")
    return drill.drill(ground(root, name, environ, tell, to), size, connected=connected)


def unsaved(root: Path, declared: Cluster, environ: Mapping[str, str]) -> str:
    """Why the newest snapshot of a cluster would not do, and how to take one; empty when it would."""
    newest = take.newest(Ground(root, declared, environ, lambda _: None).place.kept())
    why = take.overdue(declared, newest)
    return f"{why}; take one first: invoke cluster.snapshot -c {declared.name}" if why else ""
