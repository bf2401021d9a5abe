"""Where an incident stands, and what to type next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident import evidence, journal, seal
from orchestrator.incident.sentences import sentence, targets
from orchestrator.incident.story import Story, story
from orchestrator.local import files

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.documents import Json, Spec

DAMAGED, RUNNING, UNFINISHED = "damaged", "running", "unfinished"
_ENDED = {0: "proven dead", 1: "something lives", 2: "not all proven"}


@dataclass(frozen=True)
class Standing:
    """One incident, as far as its folder tells."""

    incident: str
    state: str
    next: str  # the command to type
    targets: tuple[str, ...] = ()
    began: str = ""
    last: str = ""  # when something was recorded last
    said: str = ""  # what that was, in words
    done: tuple[str, ...] = ()  # the steps of the latest revocation that are over
    still_shut: tuple[str, ...] = ()
    alive: int | None = None  # at the last look, None where there was none
    left: tuple[str, ...] = ()

    def document(self) -> dict[str, Json]:
        return asdict(self)


def every(root: Path) -> list[Standing]:
    """All incidents that are known here, by name."""
    return [standing(root, name) for name in evidence.every(root)]


def standing(root: Path, incident: str) -> Standing:
    """Where one stands; one whose journal was tampered with is told so, and nothing else of it."""
    where = evidence.begun(root, incident)
    try:
        return _standing(story(where), running=_runs(where))
    except journal.Tampered as error:
        return Standing(incident, DAMAGED, f"invoke incident.verify {incident}", said=str(error))


def _runs(where: Path) -> bool:
    """Whether somebody works on it just now."""
    lock = where / journal.LOCK
    if not lock.exists():
        return False
    try:
        with files.locked(lock, patience=0):
            return False
    except StrongroomError:
        return True


def _standing(told: Story, *, running: bool) -> Standing:
    code = told.code
    state = RUNNING if running else UNFINISHED if code is None else _ENDED[code]
    looks = list(told.of("found", "looked again"))
    return Standing(
        told.folder.name,
        state,
        _next(told, running=running),
        tuple(dict.fromkeys(one for line in told.of("agreed") for one in targets(line.data["targets"]))),
        told.lines[0].at if told.lines else "",
        told.lines[-1].at if told.lines else "",
        sentence(told.lines[-1]) if told.lines else "",
        tuple(title for title, _ in told.runs[-1].steps()) if told.runs else (),
        tuple(one.title for one in told.still_shut),
        _alive(looks[-1].data) if looks else None,
        tuple(f"{what}: {reason}" for what, reason in told.left.items()),
    )


def _alive(look: Spec) -> int:
    return int(look["alive"]) if "alive" in look else sum(look["counts"].values())


def _next(told: Story, *, running: bool) -> str:
    """The command that brings it further, or the one that checks that nothing is left to do."""
    if running:
        return f"invoke incident.status {told.folder.name}"
    if told.code is None:
        return (
            f"invoke incident.resume {told.folder.name}" if told.runs else f"invoke incident.verify {told.folder.name}"
        )
    if told.code == 1:
        return f"invoke incident.resume {told.folder.name}"
    if told.still_shut:
        return f"invoke incident.undo-close {told.folder.name}"
    if not (told.folder / seal.MANIFEST).exists():
        return f"invoke incident.report {told.folder.name}"
    return f"invoke incident.verify {told.folder.name}"
