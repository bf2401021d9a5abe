"""`invoke compose.…`: the cluster of containers; up, down and status are those of `invoke cluster.…`."""

from __future__ import annotations

import os
import sys

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering
from orchestrator.tasks import cluster_health, cluster_life
from orchestrator.tasks.cluster_life import CLUSTER, FORMAT, ROOT, say

NAME = "compose"


@task(help={"cluster": CLUSTER, "format": FORMAT})
def up(context: Context, cluster: str = NAME, format: str = "text") -> None:
    """Build what is missing, start the containers, and begin the cluster if it is new."""
    cluster_life.up.body(context, cluster, format)


@task(help={"cluster": CLUSTER, "wipe": "delete its data and its keys too", "yes": "do not ask", "format": FORMAT})
def down(context: Context, cluster: str = NAME, wipe: bool = False, yes: bool = False, format: str = "text") -> None:
    """Remove the containers and their network; the volumes stay, unless --wipe says otherwise."""
    cluster_life.down.body(context, cluster, wipe, yes, format)


@task(help={"cluster": CLUSTER, "format": FORMAT})
def status(context: Context, cluster: str = NAME, format: str = "text") -> None:
    """Show how the cluster does, node by node."""
    cluster_health.status.body(context, cluster, format)


@task(help={"cluster": CLUSTER, "format": FORMAT})
def build(_: Context, cluster: str = NAME, format: str = "text") -> None:
    """Make the images of containers/, and start nothing."""
    with answering(format):
        from orchestrator import report
        from orchestrator.commands import cluster as commands

        images = commands.build(ROOT, cluster, os.environ, say)
        report.as_json({"images": images}) if format == "json" else sys.stdout.writelines(f"{one}\n" for one in images)


TASKS = (up, down, status, build)
