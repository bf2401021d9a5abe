"""Owners' hooks: the programs that put what is new in the place of what leaked; a secret reaches them on stdin only."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PATIENCE = 600.0
_OURS = ("VAULT_TOKEN", "BAO_TOKEN")  # a hook acts for the owner of one object, and not with our rights


@dataclass(frozen=True)
class Called:
    """How a hook ended."""

    title: str
    code: int | None  # None where it did not run to its end
    seconds: float
    why: str = ""

    @property
    def went(self) -> str:
        return self.why or f"it ended with status {self.code}"


@dataclass(frozen=True)
class Hooks:
    """What the YAML's `on_revoke` says, and in which surroundings it runs."""

    commands: Mapping[str, Sequence[str]]
    root: Path
    incident: str
    environ: Mapping[str, str] = field(repr=False)

    def call(self, title: str, secret: str = "") -> Called:
        """Run the hook of an object; what it says goes to stderr and nowhere else."""
        environ = {name: value for name, value in self.environ.items() if name not in _OURS}
        environ |= {"STRONGROOM_INCIDENT": self.incident, "STRONGROOM_OBJECT": title}
        began = time.monotonic()
        sys.stderr.flush()
        try:
            done = subprocess.run(
                list(self.commands[title]),
                cwd=self.root,
                env=environ,
                input=secret.encode(),
                stdout=2,
                stderr=2,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Called(title, None, _PATIENCE, f"it did not end within {_PATIENCE:.0f} s")
        except OSError as error:
            return Called(title, None, time.monotonic() - began, f"it cannot be run: {error.strerror}")
        return Called(title, done.returncode, time.monotonic() - began)
