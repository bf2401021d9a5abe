"""Incidents: revoke, resume, undo what was shut, status."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.context import opened
from orchestrator.errors import Refused, StrongroomError
from orchestrator.incident import close, evidence, run
from orchestrator.incident.ground import Ground
from orchestrator.incident.journal import Journal
from orchestrator.incident.model import Target
from orchestrator.incident.preflight import problems
from orchestrator.incident.scope import scope as scope_of
from orchestrator.live import bulk
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.context import Context
    from orchestrator.incident.cut import Tell
    from orchestrator.incident.run import Outcome, Preview


@dataclass(frozen=True)
class Asked:
    """What the command line says leaked, and how far it may go."""

    incident: str
    targets: Sequence[tuple[str, str]] = ()  # (sort, value), none of them a secret
    tokens: Sequence[str] = field(default=(), repr=False)  # leaked tokens
    namespace: str | None = None
    dry_run: bool = False
    yes: str = ""  # the digest that was agreed to
    rate: float = 0
    agree: Callable[[Preview], None] = lambda _: None  # a person's last word; raises when it is not yes


@contextmanager
def _ground(root: Path, name: str, environ: Mapping[str, str], rate: float) -> Iterator[tuple[Context, Ground]]:
    with opened(root, name, environ) as context:
        session = context.session
        me = session.server.read("auth/token/lookup-self") or {}
        titles = frozenset(one.title for one in context.environment.declarations)
        yield context, Ground(session.server, bulk.line(session, rate), me, context.environment, titles)


def revoke(
    root: Path, name: str, environ: Mapping[str, str], asked: Asked, show: Callable[[Preview], None], tell: Tell
) -> Outcome | Preview:
    """Look, show, ask, and carry it out; a dry run ends after the look and leaves nothing behind."""
    folder = evidence.folder(root, asked.incident)
    with _ground(root, name, environ, asked.rate) as (context, ground):
        targets, held = _targets(ground, asked)
        scope = scope_of(ground, targets)
        found = run.preview(
            ground,
            asked.incident,
            context.session.cluster_id,
            targets,
            list(problems(ground, scope)),
            counted=not asked.yes,
        )
        show(found)
        if asked.dry_run:
            return found
        _check(found, asked)
        files.private_folder(folder.parent)
        with files.locked(files.private_folder(folder) / "lock"):
            journal = Journal(folder)
            journal.write(
                "agreed",
                incident=asked.incident,
                environment=name,
                server=context.server,
                who=context.session.who,
                digest=found.digest,
                targets=[vars(one) for one in targets],
                closes=[one.title for one in found.scope.closes],
                notes=list(found.scope.notes),
                problems=[one.text for one in found.problems],
            )
            return run.carry_out(ground, journal, found, held, tell, time.monotonic)


def _check(found: Preview, asked: Asked) -> None:
    """Nothing goes on against a problem that stops it, or without a yes to exactly this."""
    stops = [one.text for one in found.problems if one.stops]
    if stops:
        raise Refused("\n".join(stops))
    if asked.yes and asked.yes != found.digest:
        raise Refused(
            f"--yes {asked.yes} is not what would be done now: that is {found.digest}; look again with --dry-run"
        )
    if not asked.yes:
        asked.agree(found)


def _targets(ground: Ground, asked: Asked) -> tuple[list[Target], dict[str, str]]:
    """What leaked, each with its namespace; leaked tokens become their accessors, by which they are held."""
    namespace = ground.namespace if asked.namespace is None else asked.namespace
    targets = [Target(sort, value, namespace) for sort, value in asked.targets]
    held: dict[str, str] = {}
    for token in asked.tokens:
        facts = ground.inside(namespace).server.write("auth/token/lookup", {"token": token})
        held[str(facts["accessor"])] = token
        targets.append(Target("token", str(facts["accessor"]), namespace))
    if not targets:
        raise StrongroomError("nothing is named as leaked: say --role, --accessor, --token or another of --help")
    return targets, held


def undo_close(root: Path, name: str, environ: Mapping[str, str], incident: str) -> list[str]:
    """Open again what the incident shut; the titles of what was opened."""
    folder = evidence.folder(root, incident)
    if not folder.exists():
        raise StrongroomError(f"there is no incident {incident} in {folder.parent}")
    with _ground(root, name, environ, 0) as (_, ground), files.locked(folder / "lock"):
        return list(close.reopen(ground, Journal(folder)))
