"""Plan and apply: render, adopt, plan, pass the gate, ask, apply, plan again, prove."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config.load import inside
from orchestrator.context import opened
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import adopt, seeds
from orchestrator.live.canaries import prove
from orchestrator.live.many import read
from orchestrator.live.secrets import resolve, resolve_all
from orchestrator.live.standing import standing
from orchestrator.terraform import gate, run
from orchestrator.terraform import workspace as folders
from orchestrator.terraform.plan import changes, managed
from orchestrator.terraform.stream import Expected
from orchestrator.terraform.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.context import Context
    from orchestrator.live.adopt import Adoption
    from orchestrator.live.canaries import Proof
    from orchestrator.live.seeds import Seed
    from orchestrator.terraform.plan import Change
    from orchestrator.terraform.run import Workspace
    from orchestrator.terraform.stream import Progress
    from orchestrator.terraform.waiting import Waiting

PLAN = "strongroom.tfplan"


@dataclass(frozen=True)
class PlanReport:
    """What an apply would do, and what would do it."""

    environment: str
    server: str
    terraform: str
    provider: str
    changes: tuple[Change, ...]
    managed: int
    left: tuple[str, ...]
    warnings: tuple[str, ...]
    waiting: tuple[Waiting, ...] = ()  # what somebody outside has to do
    seeds: tuple[str, ...] = ()  # secrets that are missing and would get their first values

    @property
    def code(self) -> int:
        return 2 if self.changes or self.seeds else 0


@dataclass(frozen=True)
class ApplyReport:
    """What an apply did, what a second plan still finds, and the proof that it works."""

    plan: PlanReport
    seconds: float
    pending: tuple[Change, ...]
    proofs: tuple[Proof, ...]
    waiting: tuple[Waiting, ...] = ()  # what somebody outside has to do
    seeded: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        return 1 if self.pending or not all(proof.ok for proof in self.proofs) else 0


@dataclass(frozen=True)
class Asked:
    """What the command line allows an apply to do."""

    destroy: Collection[str] = ()
    reopen: Collection[str] = ()
    many: bool = False
    verify: bool = True
    saved: Path | None = None
    agree: Callable[[], None] = lambda: None  # a person's last word; raises when it is not yes


def plan(root: Path, name: str, environ: Mapping[str, str], progress: Progress, out: Path | None) -> PlanReport:
    """What an apply would do; saved to `out` for an apply of exactly this."""
    with opened(root, name, environ, secrets=True) as context, folders.locked(context):
        report, workspace = _planned(context, progress)
        if out is not None:
            _save(report, workspace, out)
        return report


def apply(
    root: Path,
    name: str,
    environ: Mapping[str, str],
    progress: Progress,
    show: Callable[[PlanReport], None],
    asked: Asked,
) -> ApplyReport:
    """Plan (or take a saved plan), show it, pass the gate, ask, apply, plan again, and prove."""
    started = time.monotonic()
    with opened(root, name, environ, secrets=True) as context, folders.locked(context):
        report, workspace = _saved(context, asked.saved) if asked.saved else _planned(context, progress)
        show(report)
        enclosed = inside(root, context.environment)
        refusals = list(
            gate.refusals(report.changes, report.managed, asked.destroy, enclosed, asked.reopen, many=asked.many)
        )
        if refusals:
            raise Refused("\n".join(refusals))
        after = report
        sown = _sown(context, report.seeds)
        if report.code:
            asked.agree()
        if report.changes:
            progress(Expected({change.address: change.title for change in report.changes}))
            _revoke(context, report.changes)
            run.apply(workspace, workspace.folder / PLAN, progress)
            after = _planned(context, progress)[0]
        pending = after.changes if report.changes else ()
        seeded = tuple(one.title for one, known in sown if seeds.sow(context.session.server, one, known))
        proofs = _proofs(context) if asked.verify else ()
        return ApplyReport(report, time.monotonic() - started, pending, proofs, after.waiting, seeded)


def _sown(context: Context, titles: Collection[str]) -> list[tuple[Seed, dict[str, str]]]:
    """The seeds to write, each with the secrets that its references name: all of them known before the first effect."""
    return [
        (one, resolve_all(one.references, context.environ, context.root, context.session.server))
        for one in seeds.declared(context.environment)
        if one.title in titles
    ]


def _proofs(context: Context) -> tuple[Proof, ...]:
    server = context.session.server
    return prove(
        context.environment, server, lambda reference: resolve(reference, context.environ, context.root, server)
    )


def _planned(context: Context, progress: Progress) -> tuple[PlanReport, Workspace]:
    folders.write(context, context.instances)
    workspace, provider = folders.ready(context)
    adopted = _adoption(context, workspace)
    if adopted.imported or adopted.left:
        rendered = [one for one in context.instances if one not in adopted.left]
        folders.write(context, rendered, adopted.imported)
    run.plan(workspace, workspace.folder / PLAN, progress, anew=[one.address for one in adopted.anew])
    left = tuple(one.declaration.title for one in adopted.left)
    missing = seeds.missing(context.session.server, seeds.declared(context.environment))
    return _report(context, workspace, provider, left, [one.title for one in missing]), workspace


def _adoption(context: Context, workspace: Workspace) -> Adoption:
    """What stands live already without the state knowing of it: made by hand, or by an apply that was killed."""
    server, known = context.session.server, run.state(workspace)
    folders.check_home(context, known)
    state = frozenset(adopt.addresses(known))
    mounts = standing(server)
    in_the_way = adopt.in_the_way(context.instances, state, mounts)
    if in_the_way:
        raise Refused("\n".join(in_the_way))
    candidates = adopt.candidates(context.instances, state, mounts)
    paths = {one.exists_path: one.resource.gone for one in candidates}
    return adopt.adoption(candidates, state, read(server, paths))


def _revoke(context: Context, planned: Sequence[Change]) -> None:
    """End what goes has given out while that can still be ended: without its connection, no account can be dropped."""
    mounts = [f"{path}/" for family, path in standing(context.session.server) if family == "secrets"]
    for prefix in sorted({prefix for change in planned for prefix in change.leases}):
        if any(f"{prefix}/".startswith(mount) for mount in mounts):
            context.session.server.write(f"sys/leases/revoke-prefix/{prefix}", {}, again=True)


def _report(
    context: Context, workspace: Workspace, provider: str, left: Sequence[str], missing: Sequence[str]
) -> PlanReport:
    document = run.show(workspace, workspace.folder / PLAN)
    terraform = workspace.terraform
    return PlanReport(
        environment=context.environment.name,
        server=context.server,
        terraform=f"{terraform.name} {terraform.version} ({terraform.source})",
        provider=provider,
        changes=changes(document),
        managed=managed(document),
        left=tuple(left),
        seeds=tuple(missing),
        warnings=(*context.session.warnings, *_lax(context)),
        waiting=tuple(waiting(context.instances, run.state(workspace))) if _waits(context) else (),
    )


def _lax(context: Context) -> Iterator[str]:
    if lax := len(context.environment.warnings):
        what = "1 declared value is" if lax == 1 else f"{lax} declared values are"
        yield f"{what} laxer than it should be: invoke validate -e {context.environment.name} says which, and why"


def _waits(context: Context) -> bool:
    return any(one.declaration.waits for one in context.instances)


def _save(report: PlanReport, workspace: Workspace, out: Path) -> None:
    """The plan and what it was made with, in one file for its owner."""
    facts = {
        "environment": report.environment,
        "provider": report.provider,
        "left": report.left,
        "seeds": report.seeds,
    }
    try:
        out.touch(mode=0o600)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(workspace.folder / PLAN, PLAN)
            archive.writestr("facts.json", json.dumps(facts))
    except OSError as error:
        raise StrongroomError(f"--out {out}: {error.strerror}; name a file in a folder that there is") from error


def _saved(context: Context, saved: Path) -> tuple[PlanReport, Workspace]:
    try:
        with zipfile.ZipFile(saved) as archive:
            facts, plan_file = json.loads(archive.read("facts.json")), archive.read(PLAN)
        made_for, made_with, left, missing = (facts[name] for name in ("environment", "provider", "left", "seeds"))
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise StrongroomError(f"{saved}: no plan of ours: {error}; make one: invoke plan --out {saved}") from error
    if made_for != context.environment.name:
        raise StrongroomError(
            f"{saved} is a plan of {made_for}, not of {context.environment.name}; apply it with -e {made_for}"
        )
    folders.write(context, context.instances)
    workspace, provider = folders.ready(context)
    folders.check_home(context, run.state(workspace))
    if provider != made_with:
        raise StrongroomError(
            f"{saved} was made with the {made_with} provider, here runs the {provider} one; plan again"
        )
    file = workspace.folder / PLAN
    file.touch(mode=0o600)
    file.write_bytes(plan_file)
    return _report(context, workspace, provider, left, missing), workspace
