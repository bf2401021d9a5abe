"""`invoke cluster.…`: unseal, seal, step-down, join, leave, upgrade."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering, ask
from orchestrator.tasks.cluster_life import CLUSTER, FORMAT, ROOT, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.members import Leaving
    from orchestrator.cluster.sealing import Sealing
    from orchestrator.cluster.upgrade_plan import Plan
    from orchestrator.commands.cluster_nodes import Asked

NODE = "a node's name in the cluster's file"
KEYS = "shares, one a line: `-` for stdin, `file:PATH`, or `prompt`; repeatable"
YES = "do not ask"
_MORE = 2  # as a plan with changes: something is left to do


def _asked(cluster: str, keys: Sequence[str] = ()) -> Asked:
    from orchestrator.commands.cluster_nodes import Asked

    return Asked(ROOT, cluster, os.environ, say, tuple(keys))


@task(
    iterable=["keys"],
    help={"cluster": CLUSTER, "node": f"{NODE}; all of them when left out", "keys": KEYS, "format": FORMAT},
)
def unseal(_: Context, cluster: str, keys: list[str], node: str = "", format: str = "text") -> None:
    """Open sealed nodes; exit code 2 while more shares are needed, which others may give later."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster import show_nodes
        from orchestrator.commands import cluster_nodes as commands

        found = commands.unseal(_asked(cluster, keys), node)
        report.as_json(show_nodes.opened_document(found)) if format == "json" else show_nodes.show_opened(found)
        answer(_MORE if any(one.sealed for one in found) else 0)


@task(
    help={"cluster": CLUSTER, "node": NODE, "all": "every node: nobody serves afterwards", "yes": YES, "format": FORMAT}
)
def seal(_: Context, cluster: str, node: str = "", all: bool = False, yes: bool = False, format: str = "text") -> None:
    """Seal a node, or all of them: what they hold in memory is gone."""
    with answering(format) as answer:
        from dataclasses import asdict

        from orchestrator import report
        from orchestrator.cluster import show_nodes
        from orchestrator.commands import cluster_nodes as commands

        def agree(sealing: Sealing) -> None:
            if not yes:
                ask(show_nodes.sealing_words(sealing))

        found = commands.seal(_asked(cluster), node, agree, all_=all)
        report.as_json([asdict(one) for one in found]) if format == "json" else show_nodes.show_shut(found)
        answer(0 if all_well(found) else 1)


def all_well(found: Sequence[object]) -> bool:
    return all(getattr(one, "ok", True) for one in found)


@task(help={"cluster": CLUSTER, "format": FORMAT})
def step_down(_: Context, cluster: str, format: str = "text") -> None:
    """Have another node lead."""
    with answering(format):
        from dataclasses import asdict

        from orchestrator import report
        from orchestrator.cluster import show_nodes
        from orchestrator.commands import cluster_nodes as commands

        handed = commands.step_down(_asked(cluster))
        report.as_json(asdict(handed)) if format == "json" else show_nodes.show_handed(handed)


@task(iterable=["keys"], help={"cluster": CLUSTER, "node": NODE, "keys": KEYS, "format": FORMAT})
def join(_: Context, cluster: str, node: str, keys: list[str], format: str = "text") -> None:
    """Start a node that is new in the file, and wait until it votes."""
    with answering(format):
        from orchestrator import report
        from orchestrator.cluster import show_nodes
        from orchestrator.commands import cluster_nodes as commands

        now = commands.join(_asked(cluster, keys), node)
        report.as_json(show_nodes.joined_document(node, now)) if format == "json" else show_nodes.show_joined(node, now)


@task(help={"cluster": CLUSTER, "node": "a peer's name, declared or not", "yes": YES, "format": FORMAT})
def leave(_: Context, cluster: str, node: str, yes: bool = False, format: str = "text") -> None:
    """Take a node out for good: stopped, wiped, and removed from the cluster."""
    with answering(format):
        from dataclasses import asdict

        from orchestrator import report
        from orchestrator.cluster import show_nodes
        from orchestrator.commands import cluster_nodes as commands

        def agree(leaving: Leaving) -> None:
            if not yes:
                ask(show_nodes.leaving_words(leaving))

        left = commands.leave(_asked(cluster), node, agree)
        report.as_json(asdict(left)) if format == "json" else show_nodes.show_left(left)


@task(
    iterable=["keys"],
    help={
        "cluster": CLUSTER,
        "dry_run": "show the plan; exit code 2 when there is something to do",
        "keys": KEYS,
        "yes": YES,
        "format": FORMAT,
    },
)
def upgrade(
    _: Context, cluster: str, keys: list[str], dry_run: bool = False, yes: bool = False, format: str = "text"
) -> None:
    """Have every node run the declared version and configuration: one at a time, the leader last."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster import show_nodes
        from orchestrator.commands import cluster_nodes as commands

        if dry_run:
            found = commands.plan(_asked(cluster, keys))
            report.as_json(show_nodes.plan_document(found)) if format == "json" else show_nodes.show_plan(found)
            answer(_MORE if found.steps else 0)
            return

        def agree(plan: Plan) -> None:
            if format == "text":
                show_nodes.show_plan(plan)
            if not yes:
                ask(f"Replace {', '.join(step.node for step in plan.steps)}, in this order?")

        done = commands.upgraded(_asked(cluster, keys), agree)
        report.as_json(show_nodes.upgraded_document(done)) if format == "json" else show_nodes.show_upgraded(done)


TASKS = (unseal, seal, step_down, join, leave, upgrade)
