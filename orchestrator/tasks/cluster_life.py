"""`invoke cluster.…`: up, down."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering, ask

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = "the cluster to work on: a file's name in vault-config/clusters"
FORMAT = "text for people, json for programs"


def say(line: str) -> None:
    """What is being done now, beside the answer."""
    sys.stderr.write(f"{line}\n")


@task(help={"cluster": CLUSTER, "format": FORMAT})
def up(_: Context, cluster: str, format: str = "text") -> None:
    """Start a cluster that runs here, and begin it if it is new: initialise, first apply, end of the root token."""
    with answering(format):
        from orchestrator import report
        from orchestrator.cluster import show
        from orchestrator.commands import cluster as commands

        live = report.Live()
        raised = commands.up(ROOT, cluster, os.environ, say, live)
        live.clear()
        report.as_json(show.raised_document(raised)) if format == "json" else show.show_raised(raised)


@task(help={"cluster": CLUSTER, "wipe": "delete its data and its keys too", "yes": "do not ask", "format": FORMAT})
def down(_: Context, cluster: str, wipe: bool = False, yes: bool = False, format: str = "text") -> None:
    """Stop all that runs here of a cluster; its data stays, unless --wipe says otherwise."""
    with answering(format):
        from orchestrator import report
        from orchestrator.commands import cluster as commands

        def agree() -> None:
            if not yes:
                ask(f"Delete .strongroom/clusters/{cluster}: data, keys, login, and snapshots that lie there?")

        stopped = commands.down(ROOT, cluster, os.environ, wipe=wipe, agree=agree, tell=say)
        report.as_json({"stopped": stopped}) if format == "json" else report.show_stopped(stopped)


TASKS = (up, down)
