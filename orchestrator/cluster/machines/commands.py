"""Nodes elsewhere, which commands of the cluster's file start and stop: `ssh`, a cloud's own tool, a script."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from orchestrator.cluster.render.server import server_hcl
from orchestrator.errors import Refused, StrongroomError
from orchestrator.local import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.declared import Cluster, Node

PATIENCE = 600.0
_SAID = 12
_INSTALLED, _STARTED = "installed.hcl", "started.hcl"  # what it will start with, and what it did


@dataclass(frozen=True)
class Commands:
    """`Control` by the commands under `control:`, each with {node}, {host}, {config} and {version} filled in."""

    root: Path
    cluster: Cluster
    environ: Mapping[str, str] = field(repr=False)

    def require(self, *verbs: str) -> None:
        for verb in verbs:
            self._command(verb)

    def prepare(self) -> None:
        self.require("install", "start", "stop")

    def install(self, node: Node) -> None:
        self._run("install", node)
        files.write(self._at(node) / _INSTALLED, server_hcl(self.cluster, node))

    def start(self, node: Node) -> None:
        self._run("start", node)
        if installed := files.read(self._at(node) / _INSTALLED):
            files.write(self._at(node) / _STARTED, installed)

    def stop(self, node: Node) -> None:
        (self._at(node) / _STARTED).unlink(missing_ok=True)
        self._run("stop", node)

    def runs(self, node: Node) -> bool | None:  # noqa: ARG002 - others see it
        return None

    def is_current(self, node: Node) -> bool | None:
        started = files.read(self._at(node) / _STARTED)
        return None if started is None else started == server_hcl(self.cluster, node)

    def wipe(self, node: Node) -> None:
        self._run("wipe", node)

    def why(self, node: Node) -> str:
        return self._run("log", node) if "log" in self.cluster.control else ""

    def _run(self, verb: str, node: Node) -> str:
        command = [self._filled(word, node) for word in self._command(verb)]
        with tempfile.TemporaryFile() as output:  # what it leaves running holds it open, and is not waited for
            try:
                status = subprocess.run(
                    command,
                    cwd=self.root,
                    env=self.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=PATIENCE,
                    check=False,
                ).returncode
            except OSError as error:
                raise StrongroomError(f"control/{verb}: {command[0]} cannot be run: {error.strerror}") from error
            except subprocess.TimeoutExpired as error:
                raise StrongroomError(f"control/{verb} of {node.name} did not end within {PATIENCE:.0f} s") from error
            said = _end(output)
        if status:
            raise StrongroomError(f"control/{verb} of {node.name} fails with status {status}: {said}")
        return said

    def _command(self, verb: str) -> tuple[str, ...]:
        if verb not in self.cluster.control:
            raise Refused(
                f"cluster {self.cluster.name}: nobody here can {verb} a node; declare how, such as "
                f'`control: {{{verb}: [ssh, "{{host}}", ...]}}`'
            )
        return self.cluster.control[verb]

    def _filled(self, word: str, node: Node) -> str:
        """A word of a command; {config} is the path of what the node shall start with, written when it is asked for."""
        known = {"{node}": node.name, "{host}": node.host, "{version}": self.cluster.version}
        for name, value in known.items():
            word = word.replace(name, value)
        return word.replace("{config}", self._config(node)) if "{config}" in word else word

    def _config(self, node: Node) -> str:
        files.write(self._at(node) / "server.hcl", server_hcl(self.cluster, node))
        return str(self._at(node) / "server.hcl")

    def _at(self, node: Node) -> Path:
        here = self.root / ".strongroom" / "clusters" / self.cluster.name / "rendered" / node.name
        here.mkdir(mode=0o700, parents=True, exist_ok=True)
        return here


def _end(output: IO[bytes]) -> str:
    """The last lines that a command wrote."""
    output.seek(0)
    return "\n".join(output.read().decode(errors="replace").splitlines()[-_SAID:])
