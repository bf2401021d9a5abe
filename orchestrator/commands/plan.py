"""Plan and apply: render, adopt, plan, pass the gate, ask, apply, plan again, prove."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.context import opened
from orchestrator.errors import Refused, StrongroomError
from orchestrator.live import adopt
from orchestrator.live.canaries import prove
from orchestrator.live.many import each
from orchestrator.live.secrets import resolve
from orchestrator.terraform import gate, run
from orchestrator.terraform import workspace as folders
from orchestrator.terraform.plan import changes, managed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from orchestrator.context import Context
    from orchestrator.live.adopt import Adoption
    from orchestrator.live.canaries import Proof
    from orchestrator.terraform.plan import Change
    from orchestrator.terraform.run import Workspace
    from orchestrator.terraform.stream import Progress

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

    @property
    def code(self) -> int:
        return 2 if self.changes else 0


@dataclass(frozen=True)
class ApplyReport:
    """What an apply did, what a second plan still finds, and the proof that it works."""

    plan: PlanReport
    seconds: float
    pending: tuple[Change, ...]
    proofs: tuple[Proof, ...]

    @property
    def code(self) -> int:
        return 1 if self.pending or not all(proof.ok for proof in self.proofs) else 0


@dataclass(frozen=True)
class Asked:
    """What the command line allows an apply to do."""

    destroy: Collection[str] = ()
    many: bool = False
    verify: bool = True
    saved: Path | None = None


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
    confirm: Callable[[PlanReport], None],
    asked: Asked,
) -> ApplyReport:
    """Plan (or take a saved plan), pass the gate, ask, apply, plan again, and prove."""
    started = time.monotonic()
    with opened(root, name, environ, secrets=True) as context, folders.locked(context):
        report, workspace = _saved(context, asked.saved) if asked.saved else _planned(context, progress)
        confirm(report)
        refusals = list(gate.refusals(report.changes, report.managed, asked.destroy, many=asked.many))
        if refusals:
            raise Refused("\n".join(refusals))
        pending: tuple[Change, ...] = ()
        if report.changes:
            run.apply(workspace, workspace.folder / PLAN, progress)
            pending = _planned(context, progress)[0].changes
        return ApplyReport(report, time.monotonic() - started, pending, _proofs(context) if asked.verify else ())


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
    run.plan(workspace, workspace.folder / PLAN, progress)
    left = tuple(one.declaration.title for one in adopted.left)
    return _report(context, workspace, provider, left), workspace


def _adoption(context: Context, workspace: Workspace) -> Adoption:
    """What stands live already without the state knowing of it: made by hand, or by an apply that was killed."""
    known = frozenset(adopt.addresses(run.state(workspace)))
    candidates = adopt.unknown(context.instances, known)
    paths = {one.exists_path: one.resource.gone for one in candidates}
    return adopt.adoption(candidates, each(paths, lambda path, gone: context.session.server.read(path, gone=gone)))


def _report(context: Context, workspace: Workspace, provider: str, left: tuple[str, ...]) -> PlanReport:
    document = run.show(workspace, workspace.folder / PLAN)
    terraform = workspace.terraform
    return PlanReport(
        environment=context.environment.name,
        server=context.server,
        terraform=f"{terraform.name} {terraform.version} ({terraform.source})",
        provider=provider,
        changes=changes(document),
        managed=managed(document),
        left=left,
        warnings=context.session.warnings,
    )


def _save(report: PlanReport, workspace: Workspace, out: Path) -> None:
    """The plan and what it was made with, in one file for its owner."""
    out.touch(mode=0o600)
    facts = {"environment": report.environment, "provider": report.provider, "left": report.left}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(workspace.folder / PLAN, PLAN)
        archive.writestr("facts.json", json.dumps(facts))


def _saved(context: Context, saved: Path) -> tuple[PlanReport, Workspace]:
    try:
        with zipfile.ZipFile(saved) as archive:
            facts, plan_file = json.loads(archive.read("facts.json")), archive.read(PLAN)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StrongroomError(f"{saved}: no plan of ours: {error}; make one: invoke plan --out {saved}") from error
    if facts["environment"] != context.environment.name:
        raise StrongroomError(
            f"{saved} is a plan of {facts['environment']}, not of {context.environment.name}; "
            f"apply it with -e {facts['environment']}"
        )
    folders.write(context, context.instances)
    workspace, provider = folders.ready(context)
    if provider != facts["provider"]:
        raise StrongroomError(
            f"{saved} was made with the {facts['provider']} provider, here runs the {provider} one; plan again"
        )
    file = workspace.folder / PLAN
    file.touch(mode=0o600)
    file.write_bytes(plan_file)
    return _report(context, workspace, provider, tuple(facts["left"])), workspace
