"""What the commands on keys print; never a share, nor a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.cluster.rotate import BARRIER
from orchestrator.report import out

if TYPE_CHECKING:
    from orchestrator.cluster.migrate import Migrated, Planned
    from orchestrator.cluster.root import Ended
    from orchestrator.cluster.rotate import Rotated
    from orchestrator.documents import Json


def show_planned(planned: Planned) -> None:
    table = Table("node", "now", box=None, pad_edge=False, header_style="dim")
    for node, words in planned.stands:
        table.add_row(node, words)
    if planned.stands:
        out().print(table)
    for number, step in enumerate(planned.steps, 1):
        out().print(f"{number}. {step}", soft_wrap=True)
    if not planned.steps:
        out().print(f"cluster {planned.cluster} is sealed as declared; nothing is to be done")


def planned_document(planned: Planned) -> dict[str, Json]:
    return {
        "cluster": planned.cluster,
        "move": str(planned.move) if planned.move else None,
        "nodes": dict(planned.stands),
        "steps": list(planned.steps),
    }


def show_migrated(done: Migrated) -> None:
    print_ = out().print
    if done.move is None:
        restarted = f"; restarted as declared: {', '.join(done.settled)}" if done.settled else ""
        print_(f"cluster {done.cluster} is sealed as declared{restarted}", soft_wrap=True)
        return
    print_(f"cluster {done.cluster} went from {done.move}", style="green", soft_wrap=True)
    if done.settled:
        print_(f"opened by the new seal alone: {', '.join(done.settled)}")
    lie = f": {', '.join(map(str, done.kept))}" if done.kept else ""
    print_(f"{done.shares}{lie}", soft_wrap=True)
    if done.snapshot:
        print_(f"snapshot from before: {done.snapshot}", soft_wrap=True)
    for line in done.left:
        print_(f"for you: {line}", soft_wrap=True)


def migrated_document(done: Migrated) -> dict[str, Json]:
    return {
        "cluster": done.cluster,
        "move": str(done.move) if done.move else None,
        "settled": list(done.settled),
        "shares": done.shares,
        "keys": [str(path) for path in done.kept],
        "snapshot": done.snapshot,
        "left": list(done.left),
    }


def show_rotated(done: Rotated) -> None:
    print_ = out().print
    if done.what == BARRIER:
        print_(f"the key that encrypts is that of term {done.after}, and was that of term {done.before}")
        return
    files = ", ".join(map(str, done.shares))
    if done.waits:
        print_(f"new {done.what} shares: {files}", soft_wrap=True)
        print_(done.waits, style="yellow", soft_wrap=True)
        return
    print_(f"the new {done.what} shares were given back to the server, and count: {files}", soft_wrap=True)
    if done.kept:
        old = ", ".join(map(str, done.kept))
        print_(f"the old ones open nothing but snapshots from before: {old}", soft_wrap=True)


def rotated_document(done: Rotated) -> dict[str, Json]:
    return {
        "cluster": done.cluster,
        "what": done.what,
        "term": {"before": done.before, "after": done.after} if done.what == BARRIER else None,
        "keys": [str(path) for path in done.shares],
        "old": [str(path) for path in done.kept],
        "waits": done.waits,
    }


def show_ended(done: Ended) -> None:
    out().print(f"the root token (accessor {done.accessor}) was made by {done.way}, and is dead: {done.dead}")


def ended_document(done: Ended) -> dict[str, Json]:
    return {
        "cluster": done.cluster,
        "way": done.way,
        "accessor": done.accessor,
        "root_token": done.dead,
        "cleaned": list(done.cleaned),
    }
