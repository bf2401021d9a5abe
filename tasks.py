"""What `invoke` runs: a task reads flags, calls one function, prints its report, exits with its code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Collection, task  # noqa: TID251 - the one module that may
from invoke.main import program  # noqa: TID251 - the one module that may

from orchestrator.entry import answering, ask
from orchestrator.tasks import (
    cluster_begin,
    cluster_health,
    cluster_keys,
    cluster_life,
    cluster_nodes,
    cluster_render,
    cluster_snapshots,
    compose,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke import Context  # noqa: TID251 - the one module that may

    from orchestrator.incident.story import Shut

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = "the environment to work on: a file's name in vault-config/environments"
FORMAT = "text for people, json for programs"
SIGN = "the key that signs the evidence: transit:MOUNT/KEY, or file:PATH of an ed25519 private key"


@task(help={"environment": f"{ENVIRONMENT}; all of them when left out", "format": FORMAT})
def validate(_: Context, environment: str = "", format: str = "text") -> None:
    """Check the YAML and the policies; every mistake at once, nothing touched."""
    with answering(format):
        from orchestrator import report
        from orchestrator.commands import check as commands

        found = commands.validate(ROOT, [environment] if environment else [])
        report.as_json(report.validated_document(found)) if format == "json" else report.show_validated(found)


@task(help={"environment": ENVIRONMENT})
def render(_: Context, environment: str = "dev") -> None:
    """Print the Terraform JSON that the YAML renders to; no server is asked."""
    with answering():
        from orchestrator import report
        from orchestrator.commands import check as commands

        report.as_json(commands.render(ROOT, environment, os.environ))


@task(
    help={
        "environment": ENVIRONMENT,
        "writes": "what apply needs, not only plan and drift",
        "incident": "what revoke needs, for whoever is on call",
    }
)
def rights(_: Context, environment: str = "dev", writes: bool = False, incident: bool = False) -> None:
    """Print the least policy for a token that plans, or with --writes applies, or revokes; no server is asked."""
    with answering():
        from orchestrator.commands import check as commands

        found = (
            commands.incident_rights(ROOT, environment)
            if incident
            else commands.rights(ROOT, environment, writes=writes)
        )
        sys.stdout.write(found)


@task(help={"environment": ENVIRONMENT, "out": "save the plan to this file, for apply --plan", "format": FORMAT})
def plan(_: Context, environment: str = "dev", out: str = "", format: str = "text") -> None:
    """Show what an apply would do; exit code 2 when there are changes."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.commands import plan as commands

        live = report.Live()
        planned = commands.plan(ROOT, environment, os.environ, live, Path(out) if out else None)
        live.clear()
        report.as_json(report.plan_document(planned)) if format == "json" else report.show_planned(planned)
        answer(planned.code)


@task(
    help={
        "environment": ENVIRONMENT,
        "plan": "apply exactly this saved plan",
        "yes": "do not ask",
        "destroy": "an object that may be destroyed or replaced, as the plan names it, or `all`; repeatable",
        "reopen": "an object that an incident shut and that may be opened again, or `all`; repeatable",
        "many": "go on when more than a fifth of the objects would change",
        "verify": "prove afterwards that what is declared works (--no-verify leaves it out)",
        "format": FORMAT,
    },
    iterable=["destroy", "reopen"],
)
def apply(
    _: Context,
    destroy: list[str],
    reopen: list[str],
    environment: str = "dev",
    plan: str = "",
    yes: bool = False,
    many: bool = False,
    verify: bool = True,
    format: str = "text",
) -> None:
    """Make the server what the YAML says, then prove it."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.commands import plan as commands

        live = report.Live()

        def show(planned: commands.PlanReport) -> None:
            live.clear()
            report.engine(planned) if format == "json" else report.show_plan(planned)

        def agree() -> None:
            if not yes:
                ask("Apply this?")

        asked = commands.Asked(destroy, reopen, many, verify, Path(plan) if plan else None, agree)
        applied = commands.apply(ROOT, environment, os.environ, live, show, asked)
        live.clear()
        report.as_json(report.apply_document(applied)) if format == "json" else report.show_apply(applied)
        answer(applied.code)


@task(help={"environment": ENVIRONMENT, "format": FORMAT})
def drift(_: Context, environment: str = "dev", format: str = "text") -> None:
    """Compare the live server with the YAML; exit code 2 where they differ."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.commands import drift as commands

        found = commands.drift(ROOT, environment, os.environ)
        report.as_json(report.drift_document(found)) if format == "json" else report.show_drift(found)
        answer(found.code)


@task(help={"server": "another server: openbao-2.6.2, or the path of a bao or vault program", "format": FORMAT})
def up(_: Context, server: str = "", format: str = "text") -> None:
    """Start the embedded stack: OpenBao and PostgreSQL, data under .strongroom/."""
    with answering(format):
        from orchestrator import report
        from orchestrator.local import stack

        stack.up(ROOT, server or None)
        parts = stack.status(ROOT)
        report.as_json({"parts": [vars(part) for part in parts]}) if format == "json" else report.show_status(parts)


@task(help={"format": FORMAT})
def status(_: Context, format: str = "text") -> None:
    """Show the embedded stack: addresses, versions, pids, sealed or not."""
    with answering(format):
        from orchestrator import report
        from orchestrator.local import stack

        parts = stack.status(ROOT)
        report.as_json({"parts": [vars(part) for part in parts]}) if format == "json" else report.show_status(parts)


@task(help={"format": FORMAT})
def down(_: Context, format: str = "text") -> None:
    """Stop the embedded stack; its data stays."""
    with answering(format):
        from orchestrator import report
        from orchestrator.local import stack

        stopped = stack.down(ROOT)
        report.as_json({"stopped": stopped}) if format == "json" else report.show_stopped(stopped)


@task(help={"yes": "do not ask"})
def reset(_: Context, yes: bool = False) -> None:
    """Stop the embedded stack and delete its data."""
    with answering():
        from orchestrator.local import stack

        if not yes:
            ask("Delete everything in the embedded stack?")
        stack.reset(ROOT)
        sys.stdout.write("the embedded stack's data is deleted\n")


NAMED = {
    "accessor": "a token's accessor; `-`, `file:PATH` or `prompt` for where it stands",
    "role": "a role or user, such as auth/approle/payments",
    "entity": "an entity, by name or id",
    "group": "a group, by name or id",
    "policy": "a policy: everyone who has it",
    "client-address": "an address or a network: every token that was used from there, by the audit log",
    "path": "a path, such as apps/payments/db: everyone who could read it",
    "mount": "all that a mount gave out",
    "lease-prefix": "all leases below a path",
    "secret-id-accessor": "a SecretID's accessor",
    "database-role": "a role of a database mount, such as database/orders-read",
    "certificate": "a certificate: its serial, MOUNT:SERIAL, or file:PATH",
    "ssh-key": "an SSH certificate or key: file:PATH, MOUNT:serial=N, MOUNT:id=KEY-ID, SHA256:PRINT, or a CA's MOUNT",
    "transit-key": "a transit key, such as transit/orders, or transit/orders@3 to refuse that version and older ones",
    "kv": "a secret's value, such as apps/payments/db, or apps/payments/db@3 to destroy that version though in use",
    "account": "an account of a database, by its name in a log or a finding",
    "everything": "all that the environment's namespace gave out, but for your own token; takes the environment's name",
}


@task(
    auto_shortflags=False,  # so many flags would take letters that say nothing, such as -h for --path
    iterable=["token", "finding", "audit_log", *(name.replace("-", "_") for name in NAMED)],
    help={
        "incident": "its name: the evidence is kept in incidents/NAME",
        "environment": ENVIRONMENT,
        "e": "the same as --environment",
        "namespace": "the namespace of what leaked, from the root; the environment's, or `all` for it and all below",
        "close": "hard shuts what gave it out, soft lets one an hour through, none leaves it open",
        "dry-run": "show what hangs on it, and end",
        "reissue": "replace what was cut once it is proven dead, and call the hooks of `on_revoke`",
        "yes": "the digest that --dry-run showed: go on without asking",
        "max-rate": "requests a second at most, for a server under attack",
        "krl": "the KRL that hosts have so far: what leaked by --ssh-key is added to it",
        "audit-log": "an audit log, plain or gzipped; the server's own, where it can be read, when left out",
        "between": "when it was used from there: 2026-01-31T22:00Z/2026-02-01T04:00Z",
        "finding": "what a secret scanner wrote: SARIF, or the JSON of gitleaks, trufflehog, Kingfisher",
        "approve": "the token of a second person: `-` for stdin, `file:PATH`, or `prompt`",
        "token": "a leaked token: `-` for stdin, `file:PATH`, or `prompt`",
        "sign": SIGN,
        "format": FORMAT,
        **NAMED,
    },
)
def revoke(
    _: Context,
    incident: str = "",
    environment: str = "dev",
    e: str = "",
    namespace: str = "",
    krl: str = "",
    close: str = "hard",
    dry_run: bool = False,
    reissue: bool = False,
    yes: str = "",
    approve: str = "",
    max_rate: str = "0",
    sign: str = "",
    format: str = "text",
    token: list[str] | None = None,
    finding: list[str] | None = None,
    audit_log: list[str] | None = None,
    between: str = "",
    accessor: list[str] | None = None,
    role: list[str] | None = None,
    entity: list[str] | None = None,
    group: list[str] | None = None,
    policy: list[str] | None = None,
    client_address: list[str] | None = None,
    path: list[str] | None = None,
    mount: list[str] | None = None,
    lease_prefix: list[str] | None = None,
    secret_id_accessor: list[str] | None = None,
    database_role: list[str] | None = None,
    certificate: list[str] | None = None,
    ssh_key: list[str] | None = None,
    transit_key: list[str] | None = None,
    kv: list[str] | None = None,
    account: list[str] | None = None,
    everything: list[str] | None = None,
) -> None:
    """Cut everything that hangs on what leaked, prove it dead, and keep the evidence."""
    named = {name: value for name, value in locals().items() if name.replace("_", "-") in NAMED}
    with answering(format) as answer:
        from orchestrator.commands import incident as commands
        from orchestrator.incident import command_line
        from orchestrator.incident.run import Outcome
        from orchestrator.incident.show import revocation
        from orchestrator.report import as_json

        progress = revocation.Progress()
        asked = commands.Asked(
            incident,
            command_line.targets(named),
            tokens=command_line.tokens(token or ()),
            findings=[Path(file) for file in finding or ()],
            logs=[Path(file) for file in audit_log or ()],
            between=between,
            namespace=namespace or None,
            krl=krl,
            close=close,
            dry_run=dry_run,
            reissue=reissue,
            yes=yes,
            rate=command_line.rate(max_rate),
            sign=sign,
            agree=lambda _: ask("Cut all of this?", "--yes with the digest"),
            approve=lambda: command_line.approval(approve),
        )
        show = revocation.show_preview if format == "text" else revocation.show_aside
        found = commands.revoke(ROOT, e or environment, os.environ, asked, show, progress)
        progress.clear()
        if isinstance(found, Outcome):
            as_json(revocation.outcome_document(found)) if format == "json" else revocation.show_outcome(found)
            answer(found.code)
        else:
            if format == "json":
                as_json(revocation.preview_document(found))
            answer(2 if found.blast and len(found.blast) else 0)


INCIDENT = "its name, as --incident said"


@task(help={"incident": INCIDENT, "sign": SIGN, "format": FORMAT})
def resume(_: Context, incident: str, sign: str = "", format: str = "text") -> None:
    """Finish a revocation that was killed or that left something alive; nobody is asked again."""
    with answering(format) as answer:
        from orchestrator.commands import incident as commands
        from orchestrator.incident.show import revocation
        from orchestrator.report import as_json

        progress = revocation.Progress()
        show = revocation.show_preview if format == "text" else lambda _: None
        found = commands.resume(ROOT, os.environ, incident, show, progress, sign)
        progress.clear()
        as_json(revocation.outcome_document(found)) if format == "json" else revocation.show_outcome(found)
        answer(found.code)


@task(
    help={
        "incident": INCIDENT,
        "sign": SIGN,
        "environment": "the environment that a transit key belongs to",
        "unsigned": "seal what is there now without a signature, though it was changed since it was sealed",
        "format": FORMAT,
    }
)
def report(
    _: Context, incident: str, sign: str = "", environment: str = "", unsigned: bool = False, format: str = "text"
) -> None:
    """Make the report of an incident from its journal, and seal the evidence; no server is asked."""
    with answering(format) as answer:
        from orchestrator.commands import evidence as commands
        from orchestrator.incident.show import evidence
        from orchestrator.report import as_json

        made = commands.report(ROOT, os.environ, incident, sign, environment, unsigned=unsigned)
        as_json(made.document()) if format == "json" else evidence.show_sealed(made)
        answer(made.code)


@task(
    help={
        "incident": f"{INCIDENT}, or the path of a copy of its folder",
        "key": "a PEM file: the public key that must have signed",
        "format": FORMAT,
    }
)
def verify(_: Context, incident: str, key: str = "", format: str = "text") -> None:
    """Find any byte of the evidence that was changed; exit code 1 where one was, 2 where nothing is sealed yet."""
    with answering(format) as answer:
        from orchestrator.commands import evidence as commands
        from orchestrator.incident.show import evidence
        from orchestrator.report import as_json

        found = commands.verified(ROOT, incident, key)
        as_json(found.document()) if format == "json" else evidence.show_verified(found)
        answer(found.code)


@task(name="status", help={"incident": INCIDENT, "format": FORMAT})
def standing(_: Context, incident: str, format: str = "text") -> None:
    """Show where an incident stands, and what to type next."""
    with answering(format):
        from orchestrator.incident import status as commands
        from orchestrator.incident.show import evidence
        from orchestrator.report import as_json

        found = commands.standing(ROOT, incident)
        as_json(found.document()) if format == "json" else evidence.show_standing(found)


@task(name="list", help={"format": FORMAT})
def incidents(_: Context, format: str = "text") -> None:
    """Show all incidents."""
    with answering(format):
        from orchestrator.incident import status as commands
        from orchestrator.incident.show import evidence
        from orchestrator.report import as_json

        found = commands.every(ROOT)
        as_json([one.document() for one in found]) if format == "json" else evidence.show_every(found)


@task(
    help={
        "incident": INCIDENT,
        "environment": f"{ENVIRONMENT}; the incident's own when left out",
        "unfinished": "open it though the incident is not finished",
        "yes": "do not ask",
        "sign": SIGN,
        "format": FORMAT,
    }
)
def undo_close(
    _: Context,
    incident: str,
    environment: str = "",
    unfinished: bool = False,
    yes: bool = False,
    sign: str = "",
    format: str = "text",
) -> None:
    """Open again what an incident shut, with the settings it had."""
    with answering(format):
        from orchestrator.commands import incident as commands
        from orchestrator.incident.show import evidence
        from orchestrator.report import as_json

        def agree(closed: Sequence[Shut]) -> None:
            if format == "text":
                evidence.show_closed(closed)
            if not yes:
                ask("Open all of this again?")

        undo = commands.Undo(unfinished, sign, agree)
        opened = commands.undo_close(ROOT, environment, os.environ, incident, undo)
        as_json({"opened": opened}) if format == "json" else evidence.show_opened(opened)


@task(
    iterable=["set", "done"],
    help={
        "name": "the runbook; `invoke runbooks` lists them",
        "incident": "its name: the evidence is kept in incidents/NAME",
        "environment": ENVIRONMENT,
        "set": "an answer, such as role=auth/approle/payments; repeatable",
        "done": "the number of a manual step that is done; repeatable",
        "yes": "the digest that the look showed: cut without asking",
        "approve": "the token of a second person: `-` for stdin, `file:PATH`, or `prompt`",
    },
)
def runbook(
    _: Context,
    name: str,
    set: list[str],
    done: list[str],
    incident: str = "",
    environment: str = "dev",
    yes: str = "",
    approve: str = "",
) -> None:
    """Walk through what to do when something happened; run again, it goes on where it was."""
    with answering() as answer:
        from orchestrator.commands import runbook as commands
        from orchestrator.incident.show import walking

        found = commands.walked(
            ROOT, name, os.environ, environment, incident, said=set, done=done, yes=yes, approve=approve
        )
        walking.show_walked(found)
        answer(found.code)


@task(help={"format": FORMAT})
def runbooks(_: Context, format: str = "text") -> None:
    """Show all runbooks, and when each was drilled last."""
    with answering(format):
        from orchestrator import report
        from orchestrator.commands import runbook as commands
        from orchestrator.incident.show import walking

        books = commands.listed(ROOT)
        report.as_json(walking.list_document(books)) if format == "json" else walking.show_list(books)


@task(
    help={
        "name": "the runbook to drill",
        "server": "another server: openbao-2.6.2, or the path of a bao or vault program",
        "stamp": "write into the runbook when it was drilled (--no-stamp leaves it out)",
        "format": FORMAT,
    }
)
def drill(_: Context, name: str, server: str = "", stamp: bool = True, format: str = "text") -> None:
    """Plant a leak on a throw-away server, walk its runbook, and count what lives."""
    with answering(format) as answer:
        from orchestrator import report
        from orchestrator.commands import runbook as commands
        from orchestrator.incident.show import walking

        found = commands.drilled(ROOT, name, server, stamped=stamp)
        report.as_json(walking.drilled_document(found)) if format == "json" else walking.show_drilled(found)
        answer(0 if found.passed else 1)


@task
def docs(_: Context) -> None:
    """Write what is made from the catalogue: docs/reference/, and the schema that editors check the YAML with."""
    with answering():
        from orchestrator import reference

        for name in reference.write(ROOT):
            sys.stdout.write(f"{name}\n")


@task
def check(context: Context) -> None:
    """Format, lint, types and the tests that need no server: seconds."""
    for command in ("ruff format --check .", "ruff check .", "mypy", 'pytest -q -m "not server"'):
        context.run(f"{sys.executable} -m {command}", pty=False)


@task(
    help={
        "options": "more for pytest, such as `-k approle`",
        "long": "what takes its time, and nothing else: nodes lost by the dozen, containers, other servers",
    }
)
def test(context: Context, options: str = "", long: bool = False) -> None:
    """The suite, on real servers; --long is the rest of it."""
    processes = min(4, 2 * (os.cpu_count() or 1))  # they wait for their servers as much as they compute
    which = "long" if long else "not long"
    apart = f'-n {processes} --dist loadfile -m "{which}"'
    context.run(f"{sys.executable} -m pytest {apart} {options}".strip(), pty=False)


@task(
    help={
        "role": "the role's name",
        "environment": ENVIRONMENT,
        "mount": "the auth method's path",
        "wrap": "how long the wrapping token lives",
        "format": FORMAT,
    }
)
def issue(
    _: Context, role: str, environment: str = "dev", mount: str = "approle", wrap: str = "10m", format: str = "text"
) -> None:
    """Hand out a SecretID as a wrapping token, and nothing else."""
    with answering(format):
        from orchestrator import report
        from orchestrator.commands import approle as commands

        issued = commands.issue(ROOT, environment, os.environ, mount, role, wrap)
        report.as_json(report.issued_document(issued)) if format == "json" else report.show_issued(issued)


ROOMS = (cluster_begin, cluster_health, cluster_keys, cluster_life, cluster_nodes, cluster_render, cluster_snapshots)
cluster = Collection("cluster", *(one for room in ROOMS for one in room.TASKS))
containers = Collection("compose", *compose.TASKS)
snapshots = Collection("snapshots", cluster_snapshots.drill)
approle = Collection("approle")
approle.add_task(issue)
incident = Collection("incident", resume, report, verify, standing, incidents, undo_close)
namespace = Collection(
    validate,
    render,
    rights,
    plan,
    apply,
    drift,
    revoke,
    runbook,
    runbooks,
    drill,
    up,
    down,
    status,
    reset,
    docs,
    check,
    test,
    approle,
    cluster,
    containers,
    snapshots,
    incident,
)


def _help_first() -> None:
    """`invoke TASK --help`: where an argument must be given, Invoke would take `--help` for its value, and run."""
    words = program.core.unparsed if hasattr(program, "core") else []
    if "--help" in words[1:]:
        program.core[0].args["help"].value = words[0]
        words.clear()


_help_first()
