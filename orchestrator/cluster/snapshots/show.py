"""What the commands of snapshots print."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.cluster import show as shown
from orchestrator.cluster.snapshots.take import told
from orchestrator.report import err, out

if TYPE_CHECKING:
    from orchestrator.cluster.snapshots.drill import Drilled
    from orchestrator.cluster.snapshots.restore import Intended, Restored
    from orchestrator.cluster.snapshots.take import Taken
    from orchestrator.commands.snapshots import Listed
    from orchestrator.documents import Json

_STEP = 1000


def size(count: float) -> str:
    """Bytes as people say them.

    >>> size(512), size(17_102), size(3_400_000_000)
    ('512 B', '17.1 kB', '3.4 GB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= _STEP and len(units) > 1:
        count, units = count / _STEP, units[1:]
    return f"{count:.0f} B" if units[0] == "B" else f"{count:.1f} {units[0]}"


def show_taken(taken: Taken) -> None:
    print_ = out().print
    for name in taken.sent:
        print_(f"uploaded {name}, which had waited for it")
    if taken.manifest is None:
        print_(f"no snapshot is due: {taken.newest.name if taken.newest else ''} is young enough")
        return
    one = taken.manifest
    print_(f"{one.name}: {size(one.size)}, index {one.index}, whole, in {taken.where}")
    for name in taken.dropped:
        print_(f"deleted {name}", style="dim")


def taken_document(taken: Taken) -> dict[str, Json]:
    return {
        "taken": asdict(taken.manifest) if taken.manifest else None,
        "where": taken.where,
        "uploaded": list(taken.sent),
        "deleted": list(taken.dropped),
    }


def show_listed(listed: Listed) -> None:
    table = Table("snapshot", "age", "size", "index", "whole", "why", box=None, pad_edge=False, header_style="dim")
    for row in listed.rows:
        one = row.manifest
        cells = (one.name, told(row.age), size(one.size), str(one.index), row.wrong or "yes", one.why)
        table.add_row(*cells, style="red" if row.wrong else "")
    out().print(table) if listed.rows else out().print(f"nothing in {listed.where} yet")
    if listed.overdue:
        out().print(listed.overdue, style="red")
    if listed.drilled:
        result = "passed" if listed.drilled.passed else "failed"
        out().print(f"drilled last at {listed.drilled.at} with {listed.drilled.snapshot}: {result}")
    else:
        out().print(f"never drilled from this machine: invoke snapshots.drill -c {listed.cluster}", style="yellow")


def listed_document(listed: Listed) -> dict[str, Json]:
    rows = [{**asdict(row.manifest), "age": int(row.age), "wrong": row.wrong} for row in listed.rows]
    drilled = drilled_document(listed.drilled) if listed.drilled else None
    return {
        "cluster": listed.cluster,
        "where": listed.where,
        "snapshots": rows,
        "overdue": listed.overdue,
        "drilled": drilled,
    }


def show_intended(intended: Intended) -> None:
    print_ = err().print
    found, manifest = intended.found, intended.found.manifest
    age = f"{told(intended.age)} old, " if intended.age is not None else ""
    print_(
        f"{found.file.name}: {age}index {found.meta.index}, sealed with {found.meta.key_id or 'a key without a name'}"
    )
    if manifest and manifest.cluster != intended.cluster:
        print_(f"it is of cluster {manifest.cluster}", style="red")
    if intended.leader:
        print_(
            f"replaces all that cluster {intended.cluster} holds, where {intended.leader} leads at index "
            f"{intended.index}; that is saved as a snapshot before"
        )
    else:
        print_(f"fills cluster {intended.cluster}, which has no leader")
    if intended.emptied:
        print_(f"deletes what these nodes may hold: {', '.join(intended.emptied)}", style="red")
    print_(
        "what was revoked since then lives again, what was made since then is gone, and leases that ended since then "
        "are revoked once more"
    )
    print_(f"digest {intended.digest}: --yes {intended.digest} agrees to this without being asked", style="dim")


def show_restored(restored: Restored) -> None:
    print_ = out().print
    shown.show_status(restored.seen)
    if restored.before:
        print_(f"what was there before is in {restored.before.name}")
    if restored.differences is None:
        print_(f"what is in it now was not compared: {restored.unseen}", style="yellow")
        print_(
            "logins, tokens and SecretIDs are those of the snapshot's time; where none of yours was there then, the "
            "holders of the recovery keys make a way in: `invoke cluster.generate-root`"
        )
    elif not restored.differences:
        print_("what is in it now is what was in it when the snapshot was taken")
    for one in restored.differences or ():
        print_(f"differs: {one}", style="red")


def restored_document(restored: Restored) -> dict[str, Json]:
    different = None if restored.differences is None else [asdict(one) for one in restored.differences]
    return {
        "cluster": restored.intended.cluster,
        "snapshot": restored.intended.found.file.name,
        "saved_before": restored.before.name if restored.before else None,
        "differences": different,
        "not_compared": restored.unseen,
    }


def show_drilled(drilled: Drilled) -> None:
    print_ = out().print
    print_(f"{drilled.snapshot}: restored into {drilled.nodes} node{'s' * (drilled.nodes != 1)} in {drilled.seconds} s")
    print_(f"what is younger than {told(drilled.age)} would have been lost")
    print_("it had a network of its own" if drilled.apart else "it had this machine's network")
    for one in drilled.wrong:
        print_(f"wrong: {one}", style="red")
    if drilled.passed:
        print_("what was in it is what was in the cluster; nothing of it is left", style="green")


def drilled_document(drilled: Drilled) -> dict[str, Json]:
    return {**asdict(drilled), "passed": drilled.passed}
