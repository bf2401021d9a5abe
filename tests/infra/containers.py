"""A project whose cluster runs in containers, and what the tests ask the engine itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from orchestrator.cluster.machines import choose
from orchestrator.commands import cluster as commands
from orchestrator.local import files
from tests.cluster import house
from tests.cluster.house import House
from tests.infra.conftest import SYSTEM, program
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.cluster.machines.compose.control import Compose
    from orchestrator.documents import Json

BASE = "strongroom-test/busybox"
NODES = ("bao-1", "bao-2", "bao-3")


@dataclass(frozen=True)
class Contained(House):
    """A project in a folder; its nodes' image stands on a base with a shell, by which one can look around in it."""

    engine: str = ""
    way: str = "sdk"

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": SYSTEM, "DOCKER_HOST": self.engine, "STRONGROOM_COMPOSE": self.way}

    @contextmanager
    def containers(self) -> Iterator[Compose]:
        with choose.opened_compose(self.root, self.declared, self.environ) as containers:
            yield containers

    def down(self) -> None:
        self.gone(wipe=True)

    def gone(self, *, wipe: bool) -> tuple[str, ...]:
        return commands.down(self.root, house.NAME, self.environ, wipe=wipe, agree=lambda: None)

    def docker(self, *words: str, given: bytes | None = None) -> str:
        """What the engine's own program prints."""
        command = [program("docker"), "--host", self.engine, *words]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def left(self, what: str) -> list[str]:
        """The names of the project's containers, networks or volumes."""
        with self.containers() as containers:
            project = containers.project
        everything = ["--all"] if what == "container" else []
        named = "{{.Names}}" if what == "container" else "{{.Name}}"
        label = f"label=com.docker.compose.project={project}"
        return sorted(self.docker(what, "ls", *everything, "--filter", label, "--format", named).split())

    def name(self, service: str) -> str:
        """The container of a service."""
        with self.containers() as containers:
            return str(containers.engine.container(service).name)

    def inspect(self, container: str) -> Json:
        return json.loads(self.docker("container", "inspect", container))[0]


def written(root: Path, engine: str, version: str, seal: Json, nodes: tuple[str, ...] = NODES) -> Contained:
    """The project's files, with the folder that images are laid out in shared by all tests."""
    said = house.declared(version, seal, run="compose", nodes={name: {"zone": name[-1]} for name in nodes})
    house.written(root, {**said, "listener": {"tls": {"min_version": "tls12"}}})
    shutil.copy(REPOSITORY / "docker-compose.yml", root)
    (root / ".env").write_text(f"STRONGROOM_BASE={BASE}\nSTRONGROOM_IMAGES=strongroom-test\n")
    (root / ".strongroom/images").symlink_to(files.private_folder(REPOSITORY / ".strongroom/images"))
    found = Contained(root, engine)
    found.docker("import", "-", BASE, given=_busybox())
    return found


def _busybox() -> bytes:
    """A base image: a shell and the usual tools in one file."""
    whole = program("busybox")
    names = subprocess.run([whole, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(os.path.realpath(whole), "bin/busybox")
        for name in names:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if name != "busybox":
                archive.addfile(link)
    return buffer.getvalue()
