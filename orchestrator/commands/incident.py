"""Incidents: revoke, resume, undo what was shut, status."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.context import opened, unconfigured
from orchestrator.errors import ConfigInvalid, Refused, StrongroomError
from orchestrator.incident import approval, close, evidence, hosts, places, run, seal, sign, traces, values
from orchestrator.incident.command_line import is_a_token
from orchestrator.incident.ground import Ground, unknown
from orchestrator.incident.hooks import Hooks
from orchestrator.incident.journal import FILE, now, read
from orchestrator.incident.journal import opened as journal_of
from orchestrator.incident.kinds import flags
from orchestrator.incident.model import Scope, Target
from orchestrator.incident.preflight import problems
from orchestrator.incident.reissue import begun
from orchestrator.incident.scope import CLOSES, closing
from orchestrator.incident.scope import scope as scope_of
from orchestrator.incident.story import story
from orchestrator.live import bulk
from orchestrator.live.place import variable
from orchestrator.live.secrets import resolve
from orchestrator.live.server import Denied
from orchestrator.local import files, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.declared import Environment
    from orchestrator.documents import Json
    from orchestrator.incident.cut import Tell
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.run import Outcome, Preview
    from orchestrator.incident.story import Shut
    from orchestrator.live.session import Session


@dataclass(frozen=True)
class Asked:
    """What the command line says leaked, and how far it may go."""

    incident: str
    targets: Sequence[tuple[str, str]] = ()  # (sort, value), none of them a secret
    tokens: Sequence[str] = field(default=(), repr=False)  # leaked tokens
    findings: Sequence[Path] = ()  # what a secret scanner wrote
    logs: Sequence[Path] = ()  # audit logs; none: those that the server writes, where they can be read from here
    between: str = ""
    namespace: str | None = None
    krl: str = ""  # the KRL that hosts have so far
    close: str = "hard"  # or "soft", or "none"
    dry_run: bool = False
    reissue: bool = False  # replace what was cut, once it is proven dead
    yes: str = ""  # the digest that was agreed to
    rate: float = 0
    sign: str = ""  # the key that signs the evidence
    agree: Callable[[Preview], None] = lambda _: None  # a person's last word; raises when it is not yes
    approve: Callable[[], str] = str  # the token of a second person, asked for when all else is said; empty for none


@contextmanager
def _ground(
    root: Path,
    name: str,
    environ: Mapping[str, str],
    rate: float = 0,
    logs: Sequence[Path] = (),
    between: str = "",
) -> Iterator[tuple[Session, Ground]]:
    """What the incident stands on; a mistake in the YAML does not stop a revocation, it only hides the owners."""
    with ExitStack() as until:
        environment, wrong, secret = None, "", unknown
        try:
            context = until.enter_context(opened(root, name, environ))
            session, environment = context.session, context.environment
            secret = partial(resolve, environ=context.environ, root=root, server=session.server)
        except ConfigInvalid as error:
            if not variable(environ, "ADDR"):
                raise
            session = until.enter_context(unconfigured(root, environ))
            wrong = f"the configuration is not valid, so owners are not known: {error.problems[0]}"
        me = session.server.read("auth/token/lookup-self") or {}
        titles = frozenset(one.title for one in environment.declarations) if environment else frozenset()
        found = Ground(session.server, bulk.line(session, rate), me, name, environment, titles, wrong, secret)
        found = replace(found, unsaved=partial(_unsaved, root, environment, environ))
        running = stack.current(root)
        folder = running.folder if running else None
        known = replace(found, logs=traces.logs(found, logs, folder), between=traces.between(between))
        yield session, replace(known, told=traces.Issued(known)) if known.logs else known


def revoke(
    root: Path, name: str, environ: Mapping[str, str], asked: Asked, show: Callable[[Preview], None], tell: Tell
) -> Outcome | Preview:
    """Look, show, ask, and carry it out; a dry run ends after the look and leaves nothing behind."""
    folder = evidence.folder(root, asked.incident)
    if asked.close not in CLOSES:
        raise StrongroomError(f"--close {asked.close}: write {', '.join(CLOSES)}")
    _check_words(asked.targets)
    known_keys = hosts.existing(asked.krl) if asked.krl else b""
    with _ground(root, name, environ, asked.rate, asked.logs, asked.between) as (session, ground):
        if asked.sign:
            sign.signer(asked.sign, ground.server)  # a key that is not there is told before anything is done
        named = _targets(ground, asked, _before(folder))
        found = _preview(
            session,
            ground,
            asked.incident,
            named.targets,
            asked.close,
            counted=not asked.yes,
            reissue=asked.reissue,
            between=asked.between,
        )
        found = replace(found, scope=found.scope + Scope(notes=named.notes))
        show(found)
        if asked.dry_run:
            return found
        _check(found, asked)
        approver = approval.given(ground, asked.approve)
        with journal_of(files.private_folder(folder)) as journal:
            if begun(journal):
                raise Refused(
                    f"{asked.incident} is cut, and what leaked is being replaced: invoke incident.resume goes on with "
                    "that; give a new leak a name of its own"
                )
            journal.write("agreed", **_agreed(session, name, found, asked), approved_by=approver)
            if known_keys:
                hosts.bring(journal, known_keys)
            hooks = _hooks(ground, root, environ, asked.incident) if asked.reissue else None
            return _sealed(
                ground,
                folder,
                asked.sign,
                lambda: run.carry_out(ground, journal, found, named.held, tell, time.monotonic, hooks),
            )


def _check_words(targets: Sequence[tuple[str, str]]) -> None:
    """Nothing is named by no name, nor by a secret, which would stand in the journal."""
    for sort, value in targets:
        if not value.strip():
            raise StrongroomError(f"--{sort}: no name stands behind it")
        if is_a_token(value):
            raise StrongroomError(f"--{sort}: this is a token itself; hand it in with --token, and make a new one")


def _unsaved(root: Path, environment: Environment | None, environ: Mapping[str, str]) -> str:
    if environment is None or environment.cluster.snapshots is None:
        return ""
    from orchestrator.commands.snapshots import unsaved  # noqa: PLC0415 - few clusters declare any

    return unsaved(root, environment.cluster, environ)


def _hooks(ground: Ground, root: Path, environ: Mapping[str, str], incident: str) -> Hooks:
    return Hooks(ground.environment.hooks if ground.environment else {}, root, incident, environ)


def resume(
    root: Path,
    environ: Mapping[str, str],
    incident: str,
    show: Callable[[Preview], None],
    tell: Tell,
    key: str = "",
) -> Outcome:
    """Finish what was agreed to, wherever it was killed; nobody is asked again."""
    folder = evidence.begun(root, incident)
    with journal_of(folder) as journal:
        agreed = journal.last("agreed")
        if agreed is None:
            raise StrongroomError(f"{incident}: nobody said yes yet, so nothing was begun; run invoke revoke again")
        said = agreed.data
        logs = [Path(one) for one in said["logs"]]
        with _ground(root, said["environment"], environ, said["rate"], logs, said["between"]) as (session, ground):
            _check_home(session, said)
            targets = [Target(**one) for line in journal.of("agreed") for one in line.data["targets"]]
            found = _preview(
                session,
                ground,
                incident,
                list(dict.fromkeys(targets)),
                agreed.data["close"],
                counted=False,
                again=True,
                seen=_was_seen(journal),
            )
            show(found)
            journal.write("resumed", who=session.who)
            wanted = any(line.data["reissue"] for line in journal.of("agreed"))
            hooks = _hooks(ground, root, environ, incident) if wanted else None
            return _sealed(
                ground, folder, key, lambda: run.carry_out(ground, journal, found, {}, tell, time.monotonic, hooks)
            )


def _was_seen(journal: Journal) -> bool:
    """Whether what hangs on all that was agreed to was looked at."""
    agreed, found = journal.last("agreed"), journal.last("found")
    return agreed is not None and found is not None and found.number > agreed.number


def _sealed(ground: Ground, folder: Path, key: str, act: Callable[[], Outcome]) -> Outcome:
    """Carry it out, and seal the evidence."""
    try:
        outcome, made = seal.sealed(folder, key or ground.signer, ground.server, now, act)
    except StrongroomError as error:
        if _is_over(ground):
            raise StrongroomError(
                f"your own token ended on the way: get a new one, and invoke incident.resume {folder.name} goes on"
            ) from error
        raise
    notes = (f"the evidence is not signed: {made.unsigned}",) if made.unsigned else ()
    return replace(outcome, notes=(*outcome.notes, *notes))


def _is_over(ground: Ground) -> bool:
    """Whether our own token is refused."""
    try:
        ground.server.read("auth/token/lookup-self")
    except Denied:
        return True
    except StrongroomError:
        return False
    return False


def _preview(
    session: Session,
    ground: Ground,
    incident: str,
    targets: Sequence[Target],
    how: str,
    *,
    counted: bool,
    again: bool = False,
    seen: bool = True,
    reissue: bool = False,
    between: str = "",
) -> Preview:
    scope = closing(ground, scope_of(ground, targets, again=again, seen=seen), how)
    wrong = list(problems(ground, scope))
    cluster = session.cluster_id
    told = run.preview(
        ground, incident, cluster, targets, scope, wrong, counted=counted, reissue=reissue, between=between
    )
    return replace(told, caller=f"{session.who} on {session}")


def _agreed(session: Session, name: str, found: Preview, asked: Asked) -> dict[str, Json]:
    return {
        "incident": found.incident,
        "environment": name,
        "server": str(session),
        "cluster_id": session.cluster_id,
        "who": session.who,
        "digest": found.digest,
        "targets": [vars(one) for one in found.targets],
        "closes": [one.title for one in found.scope.closes],
        "notes": list(found.scope.notes),
        "problems": [one.text for one in found.problems],
        "close": asked.close,
        "logs": [str(one.absolute()) for one in asked.logs],
        "between": asked.between,
        "rate": asked.rate,
        "reissue": asked.reissue,
    }


def _check_home(session: Session, agreed: Mapping[str, Json]) -> None:
    if session.cluster_id != agreed["cluster_id"]:
        raise StrongroomError(f"the incident is one of {agreed['server']}, and this is {session}")


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


def _before(folder: Path) -> list[Target]:
    """What was said to have leaked in this incident so far."""
    lines = read(folder / FILE) if (folder / FILE).exists() else ()
    return [Target(**one) for line in lines if line.what == "agreed" for one in line.data["targets"]]


def _targets(ground: Ground, asked: Asked, before: Sequence[Target]) -> values.Named:
    """What leaked, each with its namespace; leaked tokens become their accessors, by which they are held."""
    below = asked.namespace == places.ALL
    namespace = ground.namespace if below or asked.namespace is None else asked.namespace
    inside = ground.inside(namespace)
    grounds = list(places.tree(inside)) if below and (asked.tokens or asked.findings) else [inside]
    said = values.Named(tuple(Target(sort, value, namespace, below) for sort, value in asked.targets))
    said = replace(said, targets=tuple(flags.pinned(ground, one, before) for one in said.targets))
    found = said + values.tokens(grounds, asked.tokens) + values.findings(grounds, asked.findings)
    if not found.targets:
        names = "nothing is named as leaked: say --role, --accessor, --token or another of --help"
        raise StrongroomError("\n".join(found.notes) or names)
    return found


@dataclass(frozen=True)
class Undo:
    """How far an undo-close may go."""

    unfinished: bool = False  # open it though the incident is not finished
    sign: str = ""
    agree: Callable[[Sequence[Shut]], None] = lambda _: None  # sees what would be opened; raises when it is not yes


def undo_close(root: Path, name: str, environ: Mapping[str, str], incident: str, undo: Undo | None = None) -> list[str]:
    """Open again what the incident shut; the titles of what was opened."""
    folder, asked = evidence.begun(root, incident), undo or Undo()
    with journal_of(folder) as journal:
        agreed = journal.last("agreed")
        told = story(folder)
        if agreed is None or not told.still_shut:
            return []
        if told.code is None and not asked.unfinished:
            raise Refused(
                f"{incident} is not finished, so what leaked may still be used: run invoke incident.resume {incident} "
                "first, or say --unfinished"
            )
        with _ground(root, name or agreed.data["environment"], environ) as (session, ground):
            _check_home(session, agreed.data)
            asked.agree(told.still_shut)
            journal.write("undoing", who=session.who, closes=[one.title for one in told.still_shut])
            done, _ = seal.sealed(
                folder, asked.sign or ground.signer, ground.server, now, lambda: list(close.reopen(ground, journal))
            )
            return done


def reached(root: Path, name: str, environ: Mapping[str, str]) -> str:
    """The server, who leads it, and that it answers requests which are recorded: health says 200 while those fail."""
    with _ground(root, name, environ, 0) as (session, ground):
        leader = ground.inside("").server.read("sys/leader") or {}
        alone = "one node alone" if not leader.get("ha_enabled") else "NO LEADER"
        return f"{session}: unsealed, and answers; {leader.get('leader_address') or alone} leads"


def sealed_again(root: Path, name: str, environ: Mapping[str, str], incident: str) -> None:
    """The report and the seal of an incident whose journal went on; a server that is gone cannot sign."""
    folder = evidence.begun(root, incident)
    with journal_of(folder):
        if story(folder).code is None:
            seal.seal(folder, "", None, now)
            return
        with _ground(root, name, environ) as (_, ground):
            seal.sealed(folder, ground.signer, ground.server, now, lambda: None)
