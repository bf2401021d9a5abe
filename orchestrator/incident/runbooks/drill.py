"""A drill: a leak planted on a throw-away server, its runbook walked, and exactly the leak dead afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.journal import now
from orchestrator.incident.runbooks import drills
from orchestrator.incident.runbooks.drills.stage import Stage, together
from orchestrator.incident.runbooks.runbook import FOLDER, NONE
from orchestrator.incident.runbooks.sheet import load
from orchestrator.incident.runbooks.walk import walk
from orchestrator.incident.runbooks.walker import DONE, Walk
from orchestrator.incident.verify import verify
from orchestrator.live.wire import open_server
from orchestrator.local import files, postgres, servers
from orchestrator.local import stack as local

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.incident.run import Outcome, Preview
    from orchestrator.incident.runbooks.drills.stage import Life, Planted
    from orchestrator.incident.runbooks.runbook import Question, Runbook, Step

NAME = "drill"
DATABASE = {  # declared, so that its accounts are looked for in the database itself
    "database": {
        "type": "database",
        "postgresql": {
            "orders": {
                "connection_url": "postgresql://{{username}}:{{password}}@${LOCAL_POSTGRES}/orders?sslmode=disable",
                "username": postgres.USER,
                "password": "env:LOCAL_POSTGRES_PASSWORD",
                "allowed_roles": [],
            }
        },
    }
}
_TOOLS = ("bao", "vault")


@dataclass(frozen=True)
class Drilled:
    """How a drill went."""

    name: str
    server: str
    seconds: float
    counts: tuple[str, ...]
    wrong: tuple[str, ...]
    not_run: tuple[str, ...]  # the commands of manual steps that a drill has no hand for
    folder: Path

    @property
    def passed(self) -> bool:
        return not self.wrong

    @property
    def result(self) -> str:
        return "passed" if self.passed else "failed"


@dataclass
class Rehearsed:
    """The words that a drill supplies, and its hands: what a manual step runs is run."""

    stage: Stage
    planted: Planted
    not_run: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def begins(self, book: Runbook, incident: str, done: int, total: int) -> None:
        """Nobody listens."""

    def answer(self, question: Question) -> str:
        if question.name not in self.planted.answers and not question.optional:
            raise StrongroomError(f"the drill has no answer to {question.name}")
        return self.planted.answers.get(question.name, "")

    def step(self, step: Step) -> None:
        """Nobody listens."""

    def by_hand(self, step: Step) -> str:
        ran = [command for command in step.run if self._did(command)]
        return f"{DONE} by the drill: {'; '.join(ran)}" if ran else f"{DONE} by the drill, which ran nothing"

    def _did(self, command: str) -> bool:
        if hand := self.planted.hands.get(command):
            hand()
        elif command.split(maxsplit=1)[0] in _TOOLS:
            try:
                self.stage.run(command)
            except subprocess.CalledProcessError as error:
                said = error.stderr.decode(errors="replace").strip()
                raise StrongroomError(f"`{command}` failed with {error.returncode}: {said}") from error
        else:
            self.not_run.append(command)
            return False
        return True

    def agree(self, preview: Preview) -> None:
        """The drill means it."""

    def preview(self, preview: Preview) -> None:
        """Nobody looks."""

    def outcome(self, outcome: Outcome) -> None:
        """What lives is counted by the drill itself."""

    def ended(self, step: Step, words: str) -> None:
        """Nobody listens."""

    def progress(self, word: str, done: int, total: int) -> None:
        """Nobody looks."""


def drill(root: Path, name: str, server: str | None = None) -> Drilled:
    """Plant what the runbook is for, walk it, and count what lives."""
    book = load(root, name)
    if book.drill == NONE:
        raise StrongroomError(f"runbook {name} has no drill: {book.because}")
    began = time.monotonic()
    with _stage(root, server) as stage, _planted(book, stage) as planted:
        before = [_living(some) for some in (planted.leaked, planted.others)]
        if planted.breaks:
            planted.breaks()
        voice = Rehearsed(stage, planted)
        environ = local.environment(stage.running)
        asked = Walk(stage.root, environ, book, f"DRILL-{name}", NAME, voice)
        unproven, stopped = _walked(asked)
        after = [_living(some) for some in (planted.leaked, planted.others)]
        counts, wrong = _judged(planted, before, after)
        evidence = verify(asked.folder)
        wrong += [str(one) for one in evidence.faults]
        kept = _kept(root, name, asked.folder)
        (wrong if planted.proven else counts).extend(f"unproven: {one}" for one in unproven)
        wrong += stopped
        sealed = "sealed" if evidence.sealed else "not sealed, as nothing was cut"
        counts.append(f"evidence: {evidence.lines} lines, {len(evidence.faults)} of them changed, {sealed}")
        product = f"{stage.running.server} {stage.running.version}"
        return Drilled(
            name, product, round(time.monotonic() - began, 1), tuple(counts), tuple(wrong), tuple(voice.not_run), kept
        )


@contextmanager
def _planted(book: Runbook, stage: Stage) -> Iterator[Planted]:
    planted = drills.planter(book.drill)(stage)
    try:
        yield planted
    finally:
        if planted.ends:
            planted.ends()


def _walked(asked: Walk) -> tuple[tuple[str, ...], list[str]]:
    """What is unproven, and why the walk stopped."""
    try:
        return walk(asked).unproven, []
    except StrongroomError as error:
        return (), [f"the walk stopped: {error}"]


@contextmanager
def _stage(root: Path, server: str | None) -> Iterator[Stage]:
    """A server and an environment on it, which are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="strongroom-drill-") as name:
        folder = Path(name)
        shared = files.private_folder(files.private_folder(root / ".strongroom") / "servers")
        files.private_folder(folder / ".strongroom").joinpath("servers").symlink_to(shared)
        try:
            running = local.up(folder, server)
            program = servers.find(folder / ".strongroom", servers.chosen(server, "")).program
            _declared(folder, running)
            yield Stage(folder, running, program, open_server(running.address, "", running.token, verify=True))
        finally:
            local.down(folder)


def _declared(folder: Path, running: local.Stack) -> None:
    config = folder / "vault-config"
    cluster = {
        "cluster": NAME,
        "server": {"product": running.server, "version": running.version},
        "address": running.address,
    }
    environment = {"environment": NAME, "cluster": NAME, "owner": "drill", "secrets": DATABASE}
    for part, document in (("clusters", cluster), ("environments", environment)):
        files.private_folder(config / part)
        files.write(config / part / f"{NAME}.yaml", json.dumps(document))


def _living(some: Sequence[Life]) -> list[bool]:
    return together(lambda one: one.lives(), some)


def _judged(planted: Planted, before: list[list[bool]], after: list[list[bool]]) -> tuple[list[str], list[str]]:
    """Both sets counted, and everything that is not as it should be."""
    counts, wrong = [], []
    for title, some, was, living, should in (
        ("leaked", planted.leaked, before[0], after[0], False),
        ("others", planted.others, before[1], after[1], True),
    ):
        kinds = Counter(one.what for one in some)
        named = ", ".join(f"{count} {what}" for what, count in kinds.items()) or "none"
        counts.append(f"{title}: {named}; {sum(was)} lived before, {sum(living)} live now")
        wrong += [f"{title}: one {one.what} was dead before" for one, lived in zip(some, was, strict=True) if not lived]
        state = "lives on" if not should else "is dead"
        wrong += [f"{title}: one {one.what} {state}" for one, now_ in zip(some, living, strict=True) if now_ != should]
    return counts, wrong


def _kept(root: Path, name: str, folder: Path) -> Path:
    """The evidence of the drill, which outlives its server."""
    kept = files.private_folder(root / ".strongroom" / "drills") / name
    files.remove(kept)
    shutil.copytree(folder, kept)
    return kept


def stamp(root: Path, drilled: Drilled) -> None:
    """When it was drilled last, as one line of the runbook's front matter."""
    path = root / FOLDER / f"{drilled.name}.md"
    said = f"at: {now().date()}, server: {drilled.server}, seconds: {drilled.seconds}, result: {drilled.result}"
    first, *lines = path.read_text(encoding="utf-8").split("\n")
    end = lines.index("---")
    head = [line for line in lines[:end] if not line.startswith("drilled:")]
    mode = path.stat().st_mode
    files.write(path, "\n".join([first, *head, f"drilled: {{{said}}}", *lines[end:]]))
    path.chmod(mode)
