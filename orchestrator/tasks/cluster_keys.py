"""`invoke cluster.…`: migrate-seal, rotate-keys, generate-root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from invoke import Context, task  # noqa: TID251 - tasks are invoke's

from orchestrator.entry import answering, ask
from orchestrator.tasks.cluster_life import CLUSTER, FORMAT, ROOT, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cluster.migrate import Planned
    from orchestrator.commands.cluster_keys import Asked

KEYS = "shares, one a line: `-` for stdin, `file:PATH`, or `prompt`; repeatable"
YES = "do not ask"
_MORE = 2  # as a plan with changes: something is left to do


def _asked(cluster: str, keys: Sequence[str], *, yes: bool) -> Asked:
    from orchestrator.commands.cluster_keys import Asked

    def agree(question: str) -> None:
        if not yes:
            ask(question)

    return Asked(ROOT, cluster, os.environ, say, agree, tuple(keys))


@task(
    iterable=["keys"],
    help={
        "cluster": CLUSTER,
        "keys": f"{KEYS}; those of the seal that is left",
        "dry_run": "show the steps that are left; exit code 2 when there are any",
        "yes": YES,
        "format": FORMAT,
    },
)
def migrate_seal(
    _: Context, cluster: str, keys: list[str], dry_run: bool = False, yes: bool = False, format: str = "text"
) -> None:
    """Leave the seal under `migrate_from:` for that under `seal:`, node by node; run again, it goes on."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster import migrate, show_keys
        from orchestrator.commands import cluster_keys as commands

        ground = commands.moving(_asked(cluster, keys, yes=yes))
        if dry_run:
            found = migrate.planned(ground)
            report.as_json(show_keys.planned_document(found)) if format == "json" else show_keys.show_planned(found)
            answer(_MORE if found.steps else 0)
            return

        def agree(planned: Planned) -> None:
            if format == "text":
                show_keys.show_planned(planned)
            if not yes:
                ask(f"Leave {planned.move}?" if planned.move else "Restart them?")

        done = commands.migrate_seal(ground, agree)
        report.as_json(show_keys.migrated_document(done)) if format == "json" else show_keys.show_migrated(done)


@task(
    iterable=["keys"],
    help={
        "cluster": CLUSTER,
        "what": "barrier for the key that encrypts, recovery or unseal for the shares that people hold",
        "keys": KEYS,
        "yes": "call off a rotation of somebody else without asking",
        "format": FORMAT,
    },
)
def rotate_keys(
    _: Context, cluster: str, keys: list[str], what: str = "barrier", yes: bool = False, format: str = "text"
) -> None:
    """Rotate the key that encrypts, or the shares; exit code 2 while holders have to prove theirs."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.cluster import show_keys
        from orchestrator.commands import cluster_keys as commands

        done = commands.rotate_keys(_asked(cluster, keys, yes=yes), what)
        report.as_json(show_keys.rotated_document(done)) if format == "json" else show_keys.show_rotated(done)
        answer(_MORE if done.waits else 0)


@task(
    iterable=["keys"],
    help={
        "cluster": CLUSTER,
        "apply": "apply this environment with the token, and end it",
        "hold": "leave the token in a file for so long, such as 10m, and end it",
        "end": "make none: end what an earlier run left",
        "unlock": "restart one node so that it takes shares without a login, and undo that",
        "keys": KEYS,
        "yes": "call off an attempt of somebody else without asking",
        "format": FORMAT,
    },
)
def generate_root(
    _: Context,
    cluster: str,
    keys: list[str],
    apply: str = "",
    hold: str = "",
    end: bool = False,
    unlock: bool = False,
    yes: bool = False,
    format: str = "text",
) -> None:
    """Make a root token from the shares, for one purpose, and see it dead afterwards."""
    with answering(format):
        from orchestrator import report
        from orchestrator.cluster import show_keys
        from orchestrator.commands import cluster_keys as commands
        from orchestrator.shapes import seconds

        asked = _asked(cluster, keys, yes=yes)
        if end:
            cleaned = commands.end_root(asked)
            if format == "json":
                report.as_json({"cluster": cluster, "cleaned": cleaned})
            elif not cleaned:
                say(f"cluster {cluster}: an earlier run left nothing that had to be ended")
            return
        live = report.Live()
        use = commands.asked_use(asked, apply, float(seconds(hold)) if hold else 0.0, live)
        done = commands.generate_root(asked, use, unlock=unlock)
        live.clear()
        report.as_json(show_keys.ended_document(done)) if format == "json" else show_keys.show_ended(done)


TASKS = (migrate_seal, rotate_keys, generate_root)
