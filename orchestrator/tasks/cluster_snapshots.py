"""`invoke cluster.…` and `invoke snapshots.…`: snapshot, snapshots, restore."""

from __future__ import annotations

import os

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering, ask_for
from orchestrator.tasks.cluster_life import CLUSTER, FORMAT, ROOT, say

TO = "where the snapshots are instead of what the cluster's file says: file:///folder or s3://bucket/prefix"


@task(
    help={"cluster": CLUSTER, "to": TO, "if-due": "only when the newest is older than `every` says", "format": FORMAT}
)
def snapshot(_: Context, cluster: str, to: str = "", if_due: bool = False, format: str = "text") -> None:
    """Take a snapshot of a cluster, check it to the last byte, and delete those beyond `keep`."""
    with answering(format):
        from orchestrator import report
        from orchestrator.cluster.snapshots import show
        from orchestrator.commands import snapshots as commands

        taken = commands.snapshot(ROOT, cluster, os.environ, say, to=to, if_due=if_due)
        report.as_json(show.taken_document(taken)) if format == "json" else show.show_taken(taken)


@task(help={"cluster": CLUSTER, "to": TO, "check": "read every byte of each", "format": FORMAT})
def snapshots(_: Context, cluster: str, to: str = "", check: bool = False, format: str = "text") -> None:
    """Show the snapshots of a cluster; exit code 1 when the newest whole one is older than `every` says."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster.snapshots import show
        from orchestrator.commands import snapshots as commands

        listed = commands.listed(ROOT, cluster, os.environ, say, to=to, check=check)
        report.as_json(show.listed_document(listed)) if format == "json" else show.show_listed(listed)
        answer(listed.code)


@task(
    positional=["snapshot"],
    help={
        "cluster": CLUSTER,
        "snapshot": "its name, or a file",
        "latest": "the newest that is whole",
        "empty": "where nobody leads: delete what the nodes hold, and fill them from the snapshot",
        "to": TO,
        "yes": "the digest that was shown: go on without asking",
        "format": FORMAT,
    },
)
def restore(
    _: Context,
    cluster: str,
    snapshot: str = "",
    latest: bool = False,
    empty: bool = False,
    to: str = "",
    yes: str = "",
    format: str = "text",
) -> None:
    """Put a snapshot in place of all that a cluster holds."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster.snapshots import show
        from orchestrator.commands import snapshots as commands
        from orchestrator.errors import StrongroomError

        if bool(snapshot) == latest:
            raise StrongroomError("which snapshot? Give its name or its file, or say --latest")
        restored = commands.restored(
            ROOT,
            cluster,
            os.environ,
            say,
            snapshot,
            empty=empty,
            to=to,
            yes=yes,
            show=show.show_intended,
            ask=lambda intended: ask_for(cluster, "Restore it?", f"--yes {intended.digest}"),
        )
        report.as_json(show.restored_document(restored)) if format == "json" else show.show_restored(restored)
        answer(restored.code)


@task(
    help={
        "cluster": CLUSTER,
        "survivor": "the node whose data becomes the whole cluster's: the one that took in most",
        "yes": "the digest that was shown: go on without asking",
        "format": FORMAT,
    }
)
def recover(_: Context, cluster: str, survivor: str, yes: str = "", format: str = "text") -> None:
    """Where most nodes are lost for good: make the survivor the whole cluster, and have the others join it anew."""
    with answering(format):
        from orchestrator import report
        from orchestrator.cluster import show_recovered as show
        from orchestrator.commands import recover as commands

        recovered = commands.recovered(
            ROOT,
            cluster,
            os.environ,
            say,
            survivor,
            yes=yes,
            show=show.show_intended,
            ask=lambda intended: ask_for(cluster, "Recover it?", f"--yes {intended.digest}"),
        )
        report.as_json(show.recovered_document(recovered)) if format == "json" else show.show_recovered(recovered)


@task(
    help={
        "cluster": CLUSTER,
        "nodes": "how many nodes the throw-away cluster has: 1, 3 or 5",
        "connected": "let it reach what this machine reaches: it would revoke leases there",
        "to": TO,
        "format": FORMAT,
    }
)
def drill(
    _: Context, cluster: str, nodes: int = 1, connected: bool = False, to: str = "", format: str = "text"
) -> None:
    """Restore the newest snapshot into a throw-away cluster with the same seal, compare what is in it, destroy it."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster.snapshots import show
        from orchestrator.commands import snapshots as commands

        found = commands.drilled(ROOT, cluster, os.environ, say, size=nodes, to=to, connected=connected)
        report.as_json(show.drilled_document(found)) if format == "json" else show.show_drilled(found)
        answer(0 if found.passed else 1)


TASKS = (snapshot, snapshots, restore, recover)
