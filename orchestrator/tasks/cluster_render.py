"""`invoke cluster.render`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering
from orchestrator.tasks.cluster_life import CLUSTER, FORMAT, ROOT

OUT = "write the files into this folder; without it they are only listed"
ONLY = "one of the files, which is printed then, or a folder of them"


@task(help={"cluster": CLUSTER, "out": OUT, "only": ONLY, "format": FORMAT})
def render(_: Context, cluster: str, out: str = "", only: str = "", format: str = "text") -> None:
    """Render what each node needs: configuration, unit, service, Helm values, manifests, alerts; no server is asked."""
    with answering(format):
        from orchestrator import report
        from orchestrator.cluster import show
        from orchestrator.commands import cluster_render as commands

        found = commands.render(ROOT, cluster, os.environ, only, Path(out) if out else None)
        if format == "json":
            report.as_json(show.rendered_document(found))
        elif not out and list(found.files) == [only]:
            sys.stdout.write(found.files[only])
        else:
            show.show_rendered(found)


TASKS = (render,)
