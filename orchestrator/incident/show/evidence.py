"""What is printed of evidence: where incidents stand, what was made, whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.incident.model import within
from orchestrator.incident.sentences import moment
from orchestrator.incident.status import DAMAGED
from orchestrator.report import err, out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.incident.seal import Sealed
    from orchestrator.incident.status import Standing
    from orchestrator.incident.story import Shut
    from orchestrator.incident.verify import Verified


def show_every(found: Sequence[Standing]) -> None:
    """A line an incident."""
    if not found:
        out().print("there are no incidents")
        return
    table = Table("incident", "state", "last recorded (UTC)", box=None, pad_edge=False, header_style="dim")
    table.add_column("shut", justify="right")
    table.add_column("alive", justify="right")
    for one in found:
        alive = "?" if one.alive is None else str(one.alive)
        table.add_row(one.incident, one.state, moment(one.last), str(len(one.still_shut)), alive)
    out().print(table)


def show_standing(one: Standing) -> None:
    console = out()
    console.print(f"{one.incident}: {one.state}", style="red" if one.state == DAMAGED else "bold")
    for target in one.targets:
        console.print(f"  leaked   {target}")
    console.print(f"  last     {f'{moment(one.last)} UTC: ' if one.last else ''}{one.said}")
    if one.done:
        console.print(f"  done     {', '.join(one.done)}")
    for title in one.still_shut:
        console.print(f"  shut     {title}")
    if one.alive is not None:
        console.print(f"  alive    {one.alive} at the last look")
    for text in one.left:
        console.print(f"  lives    {text}", style="red")
    console.print(f"  next     {one.next}")


def show_sealed(made: Sealed) -> None:
    console = out()
    for name in made.document()["files"]:
        console.print(str(made.folder / name))
    if made.unsigned:
        err().print(f"warning: the evidence is not signed: {made.unsigned}", style="yellow")
    if not made.finished:
        err().print("warning: the incident is unfinished; the report says so, and nothing was sealed", style="yellow")


def show_verified(found: Verified) -> None:
    console = out()
    for fault in found.faults:
        console.print(f"{found.folder.name}/{fault}", style="red")
    console.print(found.said)
    if found.faults:
        console.print("BROKEN: this is not the evidence that was written", style="red")
    elif found.sealed:
        console.print("whole: every byte is as it was sealed", style="green")
        if not found.signed_by:
            console.print("unsigned: who can write this folder could have written all of it", style="yellow")
        elif not found.key_given:
            console.print("say --key PUBLIC.pem to be sure that it is the right key", style="yellow")


def show_closed(found: Sequence[Shut]) -> None:
    """What an undo-close would open."""
    for one in found:
        out().print(f"  ○ {one.title}{within(one.namespace)}, shut since {moment(one.began)} UTC", style="green")


def show_opened(titles: Sequence[str]) -> None:
    for title in titles:
        out().print(f"open again: {title}", style="green")
    if not titles:
        out().print("nothing is shut any more by this incident")
