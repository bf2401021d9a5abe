"""Every word that is printed: the answer on stdout, for people or as JSON; all else on stderr."""

from __future__ import annotations

import difflib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.table import Table

from orchestrator.terraform import stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.commands.check import Validated
    from orchestrator.commands.drift import DriftReport
    from orchestrator.commands.plan import ApplyReport, PlanReport
    from orchestrator.documents import Json
    from orchestrator.live.approle import Issued
    from orchestrator.live.canaries import Proof
    from orchestrator.live.drift import Drift
    from orchestrator.local.stack import Part
    from orchestrator.terraform.plan import Change, Setting
    from orchestrator.terraform.stream import Event
    from orchestrator.terraform.waiting import Waiting

_SIGNS = {"create": "+", "update": "~", "destroy": "-", "replace": "±", "adopt": "⇐", "forget": "∅"}
_COLOURS = {"+": "green", "~": "yellow", "-": "red", "±": "red", "⇐": "cyan", "∅": "red"}
_WIDEST = 96
_PAGE = 160  # columns where no terminal says how many it has


def out() -> Console:
    return _console(sys.stdout)


def err() -> Console:
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _PAGE
    return Console(file=stream, width=width, highlight=False, soft_wrap=True, markup=False, emoji=False)


def as_json(document: Json) -> None:
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True, default=str) + "\n")


def plan_document(report: PlanReport) -> dict[str, Json]:
    return {
        "environment": report.environment,
        "server": report.server,
        "terraform": report.terraform,
        "provider": report.provider,
        "changes": [_change_document(change) for change in report.changes],
        "left_as_it_stands": list(report.left),
        "would_be_seeded": list(report.seeds),
        "waiting": _waiting_document(report.waiting),
        "warnings": list(report.warnings),
    }


def _waiting_document(waiting: Sequence[Waiting]) -> list[dict[str, Json]]:
    return [{"object": one.title, "what": one.what, "text": one.text} for one in waiting]


def _change_document(change: Change) -> dict[str, Json]:
    settings = {one.name: {"before": one.before, "after": one.after} for one in change.settings}
    return {"object": change.title, "action": change.action, "address": change.address, "settings": settings}


def apply_document(report: ApplyReport) -> dict[str, Json]:
    return {
        **plan_document(report.plan),
        "waiting": _waiting_document(report.waiting),
        "seconds": round(report.seconds, 3),
        "seeded": list(report.seeded),
        "still_pending": [_change_document(change) for change in report.pending],
        "proofs": [{**vars(proof), "seconds": round(proof.seconds, 3)} for proof in report.proofs],
    }


def drift_document(report: DriftReport) -> dict[str, Json]:
    return {
        "environment": report.environment,
        "server": report.server,
        "compared": report.compared,
        "drift": [
            {"object": one.title, "setting": one.setting or None, "declared": one.declared, "live": one.live}
            for one in report.drifts
        ],
        "warnings": list(report.warnings),
    }


def show_plan(report: PlanReport) -> None:
    console = out()
    engine(report)
    for change in report.changes:
        _show_change(console, change)
    for title in report.left:
        console.print(f"  = {title}: lives already and cannot come under Terraform; left as it stands")
    for title in report.seeds:
        console.print(f"  ∘ {title}: would be seeded, as it is not there", style="green")
    console.print(_counted(report.changes, len(report.seeds)))


def show_planned(report: PlanReport) -> None:
    show_plan(report)
    show_waiting(report.waiting)


def show_waiting(waiting: Sequence[Waiting]) -> None:
    """What somebody outside has to do, with the text to hand on."""
    for one in waiting:
        out().print(f"{one.title} waits: {one.what}", style="yellow")
        out().print(one.text.strip())


def engine(report: PlanReport) -> None:
    console = err()
    console.print(
        f"{report.environment} on {report.server}, by {report.terraform} with the {report.provider} provider",
        style="dim",
    )
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow")


def _counted(changes: Sequence[Change], seeds: int) -> str:
    if not changes and not seeds:
        return "no changes"
    words = ("create", "adopt", "update", "replace", "destroy")
    counts = {**{word: sum(change.action == word for change in changes) for word in words}, "seed": seeds}
    return "to " + ", ".join(f"{word}: {count}" for word, count in counts.items() if count)


def _show_change(console: Console, change: Change) -> None:
    sign = _SIGNS[change.action]
    console.print(f"  {sign} {change.title}", style=_COLOURS[sign])
    for setting in change.settings:
        for line in _setting_lines(setting, fresh=change.action == "create"):
            console.print(f"      {line}")


def _setting_lines(setting: Setting, *, fresh: bool) -> Iterator[str]:
    texts = [value for value in (setting.before, setting.after) if isinstance(value, str)]
    if any("\n" in text.strip() for text in texts):
        yield f"{setting.name}:"
        yield from (f"  {line}" for line in _text_diff(setting.before or "", setting.after or ""))
    elif fresh:
        yield f"{setting.name}: {_value(setting.after)}"
    else:
        yield f"{setting.name}: {_value(setting.before)} → {_value(setting.after)}"


def _text_diff(before: str, after: str) -> list[str]:
    r"""The lines that differ, with two around them.

    >>> _text_diff("a\nb", "a\nc")
    [' a', '-b', '+c']
    """
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _value(value: Json) -> str:
    if value is None:
        return "(not set)"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def show_apply(report: ApplyReport) -> None:
    console = out()
    if report.pending:
        console.print("applied, and a second plan still finds changes:", style="red")
        for change in report.pending:
            _show_change(console, change)
    elif report.plan.changes:
        console.print(f"applied in {report.seconds:.1f} s; a second plan finds no changes", style="green")
    for title in report.seeded:
        console.print(f"  seeded {title}", style="green")
    show_waiting(report.waiting)
    if report.proofs:
        _show_proofs(console, report.proofs)


def _show_proofs(console: Console, proofs: Sequence[Proof]) -> None:
    table = Table("object", "proof", box=None, pad_edge=False, header_style="dim")
    table.add_column("ms", justify="right")
    table.add_column("")
    for proof in proofs:
        state, colour = ("ok", "green") if proof.ok else (f"FAILED: {proof.reason}", "red")
        table.add_row(proof.title, proof.what, f"{proof.seconds * 1000:.0f}", state, style=None if proof.ok else colour)
    console.print(table)


def show_drift(report: DriftReport) -> None:
    console = out()
    for warning in report.warnings:
        err().print(f"warning: {warning}", style="yellow")
    for one in report.drifts:
        console.print(f"  {_drift_line(one)}", style="yellow")
    if not report.drifts:
        console.print(f"no drift: {report.compared} objects on {report.server} are as declared")


def _drift_line(one: Drift) -> str:
    if one.setting:
        return f"~ {one.title} {one.setting}: declared {_value(one.declared)}, live {_value(one.live)}"
    if one.declared == "undeclared":
        return f"? {one.title}: live, and no YAML declares it"
    if one.live == "deleted":
        return f"- {one.title}: declared, and its latest version is deleted; undelete it, or write it anew"
    return f"- {one.title}: declared, and not there"


def validated_document(found: Validated) -> dict[str, Json]:
    warnings = [{**vars(one), "message": one.message.removeprefix("warning: ")} for one in found.warnings]
    return {"environments": found.counted, "clusters": found.clusters, "warnings": warnings}


def show_validated(found: Validated) -> None:
    for one in found.warnings:
        err().print(str(one), style="yellow")
    for name, count in found.counted.items():
        out().print(f"{name}: {count} objects, no mistakes")
    for name, count in found.clusters.items():
        told = f"{count} {'node' if count == 1 else 'nodes'}, " if count else ""
        out().print(f"cluster {name}: {told}no mistakes")


def show_status(parts: Sequence[Part]) -> None:
    table = Table("part", "state", "address", "version", "pid", box=None, pad_edge=False, header_style="dim")
    for part in parts:
        colour = "green" if part.state == "running" else "yellow"
        table.add_row(part.name, part.state, part.address, part.version, str(part.pid or ""), style=colour)
    out().print(table)


def show_stopped(stopped: Sequence[str]) -> None:
    out().print(f"stopped: {', '.join(stopped) or 'nothing ran'}")


def show_issued(issued: Issued) -> None:
    out().print(issued.token)
    err().print(issued.check, style="dim")


def issued_document(issued: Issued) -> dict[str, Json]:
    return {
        "wrapping_token": issued.token,
        "creation_path": issued.creation_path,
        "ttl": issued.ttl,
        "expires": issued.expires,
    }


@dataclass
class Live:
    """One line on a terminal that says how far Terraform is; a line an object elsewhere."""

    titles: Mapping[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    terminal: bool = field(default_factory=sys.stderr.isatty)

    def __call__(self, event: Event) -> None:
        if isinstance(event, stream.Expected):
            self.titles = event.titles
        elif isinstance(event, stream.Refreshed):
            self._passing("read", event.address)
        elif isinstance(event, stream.Started):
            self._passing(event.action, event.address)
        elif isinstance(event, stream.Completed):
            self.done.add(event.address)
            self._lasting(event.action, event.address)
        elif isinstance(event, stream.Errored):
            self._lasting(f"failed to {event.action}", event.address)

    def _line(self, word: str, address: str) -> str:
        count = f"[{len(self.done)}/{len(self.titles)}] " if self.titles else ""
        return f"{count}{word} {self.titles.get(address, address)}"

    def _passing(self, word: str, address: str) -> None:
        if self.terminal:
            sys.stderr.write(f"\r\x1b[K{self._line(word, address)[:_WIDEST]}")
            sys.stderr.flush()

    def _lasting(self, word: str, address: str) -> None:
        if self.terminal:
            self._passing(word, address)
        else:
            sys.stderr.write(f"{self._line(word, address)}\n")

    def clear(self) -> None:
        if self.terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
