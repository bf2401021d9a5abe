"""Killed at any line of its journal, an incident is finished by the next run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import StrongroomError
from orchestrator.incident.journal import FILE, read
from tests.incident.scene import NAME
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.incident.scene import Scene

pytestmark = pytest.mark.server
STEPS = ("agreed", "closing", "closed", "found", "revoking", "revoked", "looked again", "cut", "proved", "finished")
KILLED = """\
import json, os, signal, sys
from pathlib import Path
from orchestrator.commands import incident
from orchestrator.incident.journal import Journal

root, name, environ, line, targets, more = json.loads(sys.stdin.read())
write = Journal.write

def deadly(journal, what, **data):
    found = write(journal, what, **data)
    if found.number == line:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

Journal.write = deadly
asked = incident.Asked("INC-7", targets, **more)
incident.revoke(Path(root), name, environ, asked, lambda _: None, lambda *_: None)
"""


def killed(scene: Scene, line: int, *targets: tuple[str, str], **more: bool) -> int:
    """The exit of a run that is killed when this line of the journal is on disk."""
    wanted = targets or [("role", "auth/approle/payments")]
    given = json.dumps([str(scene.root), NAME, scene.environ, line, wanted, more])
    done = subprocess.run([sys.executable, "-c", KILLED], input=given.encode(), cwd=REPOSITORY, check=False, timeout=60)
    return done.returncode


@pytest.mark.parametrize("line", range(1, len(STEPS) + 1))
def test_killed_at_each_line_it_is_finished(scene: Scene, line: int) -> None:
    scene.approle("payments", "orders")
    leaked = [scene.login("payments")["client_token"] for _ in range(3)]
    other = scene.login("orders")["client_token"]
    before = scene.server.read("auth/approle/role/payments")

    assert killed(scene, line) == -signal.SIGKILL
    assert tuple(one.what for one in read(scene.folder / FILE)) == STEPS[:line]

    outcome = scene.resume()
    lines = list(read(scene.folder / FILE))

    assert (outcome.code, outcome.cut.left) == (0, {})
    assert [scene.lives(token) for token in (*leaked, other)] == [False, False, False, True]
    assert [one.what for one in lines].count("closing") == 1
    assert lines[-1].what == "finished"

    scene.undo()

    assert filled(scene.server.read("auth/approle/role/payments")) == filled(before)


def filled(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is not empty: a server says nothing or an empty list for the same."""
    return {name: value for name, value in (found or {}).items() if value}


def test_a_line_that_was_cut_short_is_no_line(scene: Scene) -> None:
    scene.approle("payments")
    scene.login("payments")
    killed(scene, 2)
    journal = scene.folder / FILE
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"at":"2026-')

    assert scene.resume().code == 0
    assert journal.read_bytes().startswith(whole)
    assert [one.what for one in read(journal)][:3] == ["agreed", "closing", "resumed"]


def test_what_nobody_began_cannot_be_resumed(scene: Scene) -> None:
    with pytest.raises(StrongroomError, match=r"there is no incident INC-7 in .*incidents; there are: none"):
        scene.resume()
