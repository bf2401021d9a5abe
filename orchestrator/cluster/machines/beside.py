"""What can be seen of a node beside its API, while nothing of it is changed: no lock is taken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.cluster.machines import choose, local
from orchestrator.cluster.machines.helpers import HELPERS
from orchestrator.cluster.seals import SEALS
from orchestrator.config.words import is_reference
from orchestrator.live import secrets
from orchestrator.local import files, process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.declared import Cluster, Node

_LOG = "log"
_FAILED = "Error"  # how a server that ends begins its last words
_PANIC, _LOGGED = "panic:", "[ERROR]"
_SERVES = "server started!"  # what a server says once it reads requests; what failed before is over then
_NO_ERROR = re.compile(r"\[(WARN|INFO|DEBUG|TRACE)\]|==> ")
_SILENT = "its log tells no error, as when it is stopped or killed"


def folder(root: Path, declared: Cluster, node: Node) -> Path | None:
    """Where a node runs that is a process of this machine."""
    return local.folder(root, declared.name) / "nodes" / node.name if declared.run == "local" else None


def pid(root: Path, declared: Cluster, node: Node) -> int | None:
    """The process of a node of this machine, while it lives."""
    here = folder(root, declared, node)
    return process.alive(here) if here else None


def last_words(root: Path, declared: Cluster, environ: Mapping[str, str], node: Node) -> str:
    """Why a node ended, as its log says; nothing of one that lives, or whose log nobody can read."""
    here = folder(root, declared, node)
    if here is not None:
        return "" if process.alive(here) else _why(files.read(here / _LOG) or "")
    control = choose.looking(root, declared, environ)
    return "" if control.runs(node) else _why(control.why(node))


def is_current(root: Path, declared: Cluster, environ: Mapping[str, str], node: Node) -> bool | None:
    """Whether it runs what is declared now; None where nobody knows."""
    return choose.looking(root, declared, environ).is_current(node)


def _why(log: str) -> str:
    r"""The last error, and what it ended in; a panic's stack tells nothing to whoever runs it.

    >>> _why("Error initializing core: no room\n==> OpenBao server started!\n21:05 [INFO]  core: vault is unsealed")
    'its log tells no error, as when it is stopped or killed'
    >>> _why("==> OpenBao server started!\n21:05 [INFO]  core: stopping\nError initializing core: no room")
    'Error initializing core: no room'
    """
    lines = [line.strip() for line in log.rpartition(_SERVES)[2].splitlines() if line.strip()]
    panics = [at for at, line in enumerate(lines) if line.startswith(_PANIC)]
    if panics:
        before = [line for line in lines[: panics[-1]] if _LOGGED in line]
        return " ".join([*before[-1:], lines[panics[-1]]])
    errors = [at for at, line in enumerate(lines) if line.startswith(_FAILED)]
    if errors:
        return " ".join(lines[errors[-1] :])
    return _SILENT if not lines or _NO_ERROR.search(lines[-1]) else lines[-1]


def seal_secrets(root: Path, declared: Cluster, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that open the key of the seal: those of a local cluster, else what its file refers to."""
    if declared.run == "local":
        helper = HELPERS.get(declared.seal.kind)
        return helper.environ(local.folder(root, declared.name), declared.seal) if helper else {}
    known = {name: secret.of(declared.server) for name, secret in SEALS[declared.seal.kind].secrets.items()}
    said = {name: str(declared.seal.settings[name]) for name in known if name in declared.seal.settings}
    return {known[name]: secrets.resolve(one, environ, root) for name, one in said.items() if is_reference(one)}
