"""What the commands on nodes print."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.cluster.show import show_status
from orchestrator.report import out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.members import Handed, Leaving
    from orchestrator.cluster.sealing import Sealing, Shut
    from orchestrator.cluster.shares import Opened
    from orchestrator.cluster.standing import Standing
    from orchestrator.cluster.upgrade import Upgraded
    from orchestrator.cluster.upgrade_plan import Plan
    from orchestrator.documents import Json


def show_opened(found: Sequence[Opened]) -> None:
    if not found:
        out().print("no node is sealed")
    for one in found:
        state = f"sealed, {one.progress} of {one.threshold} shares" if one.sealed else "unsealed"
        out().print(f"{one.node}  {state}", style="yellow" if one.sealed else "green")


def opened_document(found: Sequence[Opened]) -> list[Json]:
    return [asdict(one) for one in found]


def sealing_words(sealing: Sealing) -> str:
    """What sealing these means."""
    rest = (
        "nobody serves until holders or a restart open them again"
        if sealing.ends
        else f"{sealing.open_after} voters stay open, of the {sealing.quorum} that it takes"
    )
    return f"Seal {', '.join(sealing.nodes)}? Then {rest}."


def show_shut(found: Sequence[Shut]) -> None:
    for one in found:
        out().print(f"{one.node}  {one.how}", style="" if one.ok else "red", soft_wrap=True)


def show_handed(handed: Handed) -> None:
    out().print(f"{handed.before} stepped down; {handed.after} leads")


def show_joined(name: str, now: Standing) -> None:
    out().print(f"{name} votes; voters are {', '.join(sorted(now.voters))}, and {now.leader} leads")


def joined_document(name: str, now: Standing) -> dict[str, Json]:
    return {"node": name, "voters": sorted(now.voters), "leader": now.leader}


def leaving_words(leaving: Leaving) -> str:
    """What it means that a node leaves."""
    rest = f"voters are then {', '.join(leaving.voters)}"
    even = "" if len(leaving.voters) % 2 else ", an even number: have another join, or let another leave"
    return f"Stop {leaving.node}, delete all that it stores, and remove it from the cluster? The {rest}{even}."


def show_left(leaving: Leaving) -> None:
    out().print(f"{leaving.node} is stopped, wiped and no peer any more; voters are {', '.join(leaving.voters)}")
    if leaving.declared:
        out().print(f"take {leaving.node} out of the cluster's file, or the next cluster.up starts it again")


def show_plan(plan: Plan) -> None:
    if not plan.steps:
        out().print(f"every node of {plan.cluster} runs what is declared")
        return
    table = Table("", "node", "from", "to", "because", box=None, pad_edge=False, header_style="dim")
    for number, step in enumerate(plan.steps, 1):
        after = f"{step.why}; it leads, and steps down first" if step.leads and len(plan.steps) > 1 else step.why
        table.add_row(str(number), step.node, step.before, step.after, after)
    out().print(table)
    for note in plan.notes:
        out().print(note, soft_wrap=True)
    if plan.current:
        out().print(f"left alone, as they run what is declared: {', '.join(plan.current)}")


def plan_document(plan: Plan) -> dict[str, Json]:
    return asdict(plan)


def show_upgraded(done: Upgraded) -> None:
    if not done.plan.steps:
        show_plan(done.plan)
        return
    show_status(done.seen)
    if done.snapshot:
        out().print(f"the snapshot of before: {done.snapshot}", soft_wrap=True)


def upgraded_document(done: Upgraded) -> dict[str, Json]:
    versions = {one.node.name: one.version for one in done.seen}
    return {**plan_document(done.plan), "snapshot": done.snapshot, "versions": versions}
