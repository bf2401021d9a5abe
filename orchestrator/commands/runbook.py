"""Runbooks: list them, walk one, drill one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.runbooks import drill as drills
from orchestrator.incident.runbooks import sheet
from orchestrator.incident.runbooks.walk import steps, walk
from orchestrator.incident.runbooks.walker import Walk
from orchestrator.incident.show.walking import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.incident.runbooks.drill import Drilled
    from orchestrator.incident.runbooks.runbook import Runbook
    from orchestrator.incident.runbooks.walker import Walked


def listed(root: Path) -> list[Runbook]:
    """Every runbook."""
    return sheet.load_all(root)


def walked(
    root: Path,
    name: str,
    environ: Mapping[str, str],
    environment: str,
    incident: str,
    *,
    said: Sequence[str] = (),
    done: Sequence[str] = (),
    yes: str = "",
    approve: str = "",
) -> Walked:
    """Walk a person through a runbook."""
    book = sheet.load(root, name)
    voice = Terminal(name, incident, _numbers(book, done))
    return walk(Walk(root, environ, book, incident, environment, voice, dict(map(_pair, said)), yes, approve))


def _pair(said: str) -> tuple[str, str]:
    name, equals, answer = said.partition("=")
    if not equals:
        raise StrongroomError(f"--set {said}: write NAME=ANSWER, such as --set role=auth/approle/payments")
    return name, answer


def _numbers(book: Runbook, done: Sequence[str]) -> list[int]:
    """The manual steps that are said to be done."""
    manual = {str(one.number) for one in steps(book) if one.say}
    wrong = [one for one in done if one not in manual]
    if wrong:
        raise StrongroomError(
            f"--done {', '.join(wrong)}: no step that is done by hand; those of {book.name} are: "
            f"{', '.join(sorted(manual, key=int))}"
        )
    return [int(one) for one in done]


def drilled(root: Path, name: str, server: str, *, stamped: bool) -> Drilled:
    """Drill a runbook on a server of its own."""
    found = drills.drill(root, name, server or None)
    if stamped:
        drills.stamp(root, found)
    return found
