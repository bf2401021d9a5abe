"""`invoke cluster.init`."""

from __future__ import annotations

import os

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering
from orchestrator.tasks.cluster_life import CLUSTER, FORMAT, ROOT, say


@task(
    help={
        "cluster": CLUSTER,
        "show_keys": "print the shares too; they are written to files all the same",
        "format": FORMAT,
    }
)
def init(_: Context, cluster: str, show_keys: bool = False, format: str = "text") -> None:
    """Begin a cluster whose nodes run: initialise, keep the keys, first apply, end of the root token."""
    with answering(format):
        from orchestrator import report
        from orchestrator.cluster import show
        from orchestrator.commands import cluster_init as commands

        live = report.Live()
        begun = commands.init(ROOT, cluster, os.environ, say, live)
        live.clear()
        if format == "json":
            report.as_json(show.begun_document(begun, keys=show_keys))
        else:
            show.show_begun(begun, keys=show_keys)


TASKS = (init,)
