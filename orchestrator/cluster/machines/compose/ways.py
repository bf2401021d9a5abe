"""Who carries docker-compose.yml out: `docker compose`, `docker-compose`, or we ourselves by the engine's API."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.cluster.machines.compose.description import FILE, in_order
from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.cluster.machines.compose.description import Description
    from orchestrator.cluster.machines.compose.engine import Engine

CHOICE = "STRONGROOM_COMPOSE"
_PATIENCE = 600
_HEALTHY = 120.0
_SAID = 12
PROGRAMS = {"docker compose": ("docker", "compose"), "docker-compose": ("docker-compose",)}
SDK = "sdk"


class Way(Protocol):
    """One of the three; each method takes services by their names, and may be repeated."""

    @property
    def name(self) -> str:
        """For people: who did it."""

    def build(self, service: str) -> None:
        """Make the image of a service from its context."""

    def up(self, *services: str) -> None:
        """Have these containers run as they are described, and no others."""

    def down(self) -> None:
        """Remove every container and network."""


@dataclass(frozen=True)
class Program:
    """A Compose that is installed."""

    name: str
    root: Path
    host: str
    project: str
    environ: Mapping[str, str] = field(repr=False)

    def build(self, service: str) -> None:
        self._run("build", service)

    def up(self, *services: str) -> None:
        self._run("up", "--detach", "--no-deps", "--no-build", *services)

    def down(self) -> None:
        self._run("down", "--remove-orphans")

    def _run(self, *arguments: str) -> None:
        command = [*PROGRAMS[self.name], "--project-name", self.project, "--file", FILE, *arguments]
        done = _ran(command, {**self.environ, "DOCKER_HOST": self.host}, self.root)
        if done.returncode:
            said = "\n".join([*done.stdout.splitlines(), *done.stderr.splitlines()][-_SAID:])
            raise StrongroomError(f"`{self.name} {' '.join(arguments)}` fails with status {done.returncode}: {said}")


@dataclass(frozen=True)
class Sdk:
    """The same file, read and carried out here."""

    engine: Engine
    description: Description
    root: Path
    name: str = "the engine's API"

    def build(self, service: str) -> None:
        self.engine.build(self.description.services[service], self.root)

    def up(self, *services: str) -> None:
        for service in in_order(self.description.services, services):
            for other in service.after:
                self.engine.wait_healthy(other, _HEALTHY)
            if not self.engine.is_as_described(service):
                if (old := self.engine.container(service.name)) is not None:
                    old.stop(timeout=service.grace)
                    old.remove(v=False)
                self.engine.create(service)
            self.engine.container(service.name).start()

    def down(self) -> None:
        for service in reversed(list(in_order(self.description.services, tuple(self.description.services)))):
            self.engine.stop(service.name, service.grace)
        self.engine.remove_all(volumes=False)


def found(environ: Mapping[str, str], host: str) -> str:
    """The one that STRONGROOM_COMPOSE names, or the first that is installed."""
    told = {**environ, "DOCKER_HOST": host}
    wanted = environ.get(CHOICE, "")
    if wanted not in {"", SDK, *PROGRAMS}:
        known = ", ".join((*PROGRAMS, SDK))
        raise StrongroomError(f"{CHOICE}={wanted}: unknown; write one of {known}, or leave it out")
    for name, command in PROGRAMS.items():
        if wanted in {"", name} and _answers(command, told):
            return name
    if wanted in PROGRAMS:
        raise StrongroomError(f"{CHOICE}={wanted}: `{wanted} version` fails here; install it, or leave {CHOICE} out")
    return SDK


def _answers(command: tuple[str, ...], environ: Mapping[str, str]) -> bool:
    try:
        return _ran([*command, "version"], environ, None).returncode == 0
    except StrongroomError:
        return False


def _ran(command: list[str], environ: Mapping[str, str], root: Path | None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StrongroomError(f"{command[0]} cannot be run: {error}") from error
