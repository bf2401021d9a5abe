"""`invoke cluster.…`: status, doctor."""

from __future__ import annotations

import os

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering
from orchestrator.tasks.cluster_life import CLUSTER, FORMAT, ROOT


@task(help={"cluster": CLUSTER, "format": FORMAT})
def status(_: Context, cluster: str, format: str = "text") -> None:
    """Show how a cluster does, node by node; exit code 0 healthy, 1 degraded, 2 not all could be asked, 5 down."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster.health import show
        from orchestrator.commands import health as commands

        facts, health = commands.status(ROOT, cluster, os.environ)
        report.as_json(show.document(facts, health)) if format == "json" else show.show(facts, health)
        answer(health.code)


@task(help={"cluster": CLUSTER, "only": "the rules to look at, joined by commas", "format": FORMAT})
def doctor(_: Context, cluster: str, only: str = "", format: str = "text") -> None:
    """Look at a cluster as a guide for production does; exit code 0 well, 1 bad, 2 could be better or is not known."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster.doctor import examine, show
        from orchestrator.commands import health as commands

        found = commands.doctor(ROOT, cluster, os.environ, only)
        report.as_json(show.document(cluster, found)) if format == "json" else show.show(found)
        answer(examine.code(found))


TASKS = (status, doctor)
