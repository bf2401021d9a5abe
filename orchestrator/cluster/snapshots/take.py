"""Take a snapshot: streamed from the leader, checked to its last byte, and only then a snapshot."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cluster.snapshots import archive, contents, manifest
from orchestrator.cluster.snapshots.ground import alone, at_leader, now
from orchestrator.cluster.snapshots.manifest import Manifest
from orchestrator.errors import StrongroomError
from orchestrator.live import probe, stream
from orchestrator.shapes import duration

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.cluster.snapshots.contents import Holds
    from orchestrator.cluster.snapshots.ground import Ground
    from orchestrator.cluster.snapshots.places import Folder, Kept, Place
    from orchestrator.declared import Cluster
    from orchestrator.live.session import Session

SLACK = 600.0  # timers are not exact: one that runs every six hours shall not skip every other time
_TENTH = 10


@dataclass(frozen=True)
class Taken:
    """What was done: nothing (`manifest` is None) when no snapshot was due."""

    manifest: Manifest | None
    where: str
    newest: Manifest | None = None
    sent: tuple[str, ...] = ()  # what had waited for its upload
    dropped: tuple[str, ...] = ()


def take(ground: Ground, *, if_due: bool = False, why: str = "") -> Taken:
    """One snapshot more, and those that are not kept any longer deleted."""
    place = ground.place
    with alone(ground):
        stage = place.stage(ground.home)
        sent = _sent(ground, stage, place)
        if if_due and (newest := not_due(ground, place)):
            return Taken(None, place.where, newest, sent)
        taken = _written(ground, stage, why)
        _send(stage, place, taken)
        return Taken(taken, place.where, taken, sent, _pruned(ground, place, taken))


def not_due(ground: Ground, place: Place) -> Manifest | None:
    """The newest whole snapshot, if it is younger than `every` allows."""
    if ground.declared.snapshots is None:
        raise StrongroomError(
            f"cluster {ground.declared.name} does not say how often; write "
            "`snapshots: {every: 6h, keep: 28, to: ...}` into its file, or leave --if-due out"
        )
    every = float(ground.declared.snapshots.every)
    found = newest(place.kept())
    return found if found and found.age(now()) < every - min(every / _TENTH, SLACK) else None


def newest(kept: Sequence[Kept]) -> Manifest | None:
    """The newest usual one that is whole: what was saved before a restore is what somebody wanted to be rid of."""
    return next((one.manifest for one in kept if one.whole and not one.manifest.why and not ahead(one.manifest)), None)


def ahead(found: Manifest) -> bool:
    """Whether it is of a time to come: a clock was wrong, and it would be the newest for as long as that takes."""
    return found.age(now()) < -SLACK


def _sent(ground: Ground, stage: Folder, place: Place) -> tuple[str, ...]:
    """Bring to its place what an earlier upload left behind."""
    if stage is place:
        return ()
    left = [one.manifest for one in stage.kept() if one.whole]
    for one in left:
        ground.tell(f"uploading {one.name}, which was left from an earlier time")
        _send(stage, place, one)
    return tuple(one.name for one in left)


def _send(stage: Folder, place: Place, taken: Manifest) -> None:
    if stage is place:
        return
    try:
        place.put(stage.path / taken.name, taken)
    except StrongroomError as error:
        raise StrongroomError(
            f"{error}; the snapshot itself is whole and lies at {stage.path / taken.name}: the next run uploads it"
        ) from error
    stage.drop(taken)


def _written(ground: Ground, stage: Folder, why: str) -> Manifest:
    """A whole snapshot in the stage, under its name."""
    part = stage.path / f".{ground.declared.name}.{socket.gethostname()}.part"
    try:
        with at_leader(ground) as session:
            taken = now()
            before = contents.look(session.server)
            ground.tell(f"reading a snapshot from {session.address}")
            _download(session, part)
            after = contents.look(session.server)
        found = _manifest(ground.declared.name, session, part, taken, (before, after), why)
        stage.put(part, found)
    except OSError as error:
        raise StrongroomError(f"{stage.path} cannot be written: {error.strerror}; no snapshot was taken") from error
    finally:
        part.unlink(missing_ok=True)
    return found


def _download(session: Session, part: Path) -> None:
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        verify = session.place.verify
        stream.download(session.address, stream.SNAPSHOT, file, ca=verify, token=session.token)
        file.flush()
        os.fsync(file.fileno())


def _manifest(
    cluster: str, session: Session, part: Path, taken: dt.datetime, looks: tuple[Holds, Holds], why: str
) -> Manifest:
    meta = archive.read(part)
    before, after = looks
    status = probe.ask(session.address, "sys/seal-status", ca=session.place.verify).document
    return Manifest(
        name=manifest.named(cluster, taken, meta.index),
        cluster=cluster,
        cluster_id=session.cluster_id,
        product=session.product,
        version=session.version,
        seal=str(status.get("type")),
        key_id=meta.key_id,
        index=meta.index,
        term=meta.term,
        size=part.stat().st_size,
        sha256=archive.sha256(part),
        taken=taken.isoformat(),
        by=session.who,
        why=why,
        holds=before,
        loose=contents.moved(before, after),
    )


def _pruned(ground: Ground, place: Place, taken: Manifest) -> tuple[str, ...]:
    """Delete what is older than the newest `keep` of this very cluster; one that is not whole counts for nothing.

    Never on the way to something else: what is about to be restored may be among the oldest.
    """
    if ground.to or ground.declared.snapshots is None or taken.why:
        return ()
    own = [one for one in place.kept() if one.manifest.cluster_id == taken.cluster_id]
    keep = ground.declared.snapshots.keep
    usual, apart = ([one for one in own if one.whole and bool(one.manifest.why) is saved] for saved in (False, True))
    gone = [one for one in own if one.size is None]
    drop = [*usual[keep:], *apart[keep:], *gone]
    for one in drop:
        place.drop(one.manifest)
    return tuple(one.manifest.name for one in drop)


def overdue(declared: Cluster, found: Manifest | None) -> str:
    """Why somebody should look after the snapshots of a cluster that declares some; empty while all is well."""
    if declared.snapshots is None:
        return ""
    every = duration(declared.snapshots.every)
    if found is None:
        return f"cluster {declared.name} has no whole snapshot, and declares one every {every}"
    age = found.age(now())
    if age <= declared.snapshots.every:
        return ""
    return f"the newest whole snapshot of cluster {declared.name} is {told(age)} old, and it declares one every {every}"


def told(seconds: float) -> str:
    """An age as people say it.

    >>> told(42), told(3599), told(90061)
    ('42s', '59m', '25h')
    """
    for unit, length in (("d", 86400 * 2), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // (86400 if unit == 'd' else length))}{unit}"
    return f"{int(seconds)}s"
