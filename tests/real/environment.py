"""What the test of each real server does: start it, and take an environment that uses it through its whole life."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.commands.drift import drift
from orchestrator.commands.plan import Asked, apply, plan
from orchestrator.live.wire import open_server
from orchestrator.local.process import free_ports
from tests.support import no_progress, no_question, project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.commands.plan import ApplyReport, PlanReport
    from orchestrator.live.server import Server
    from orchestrator.local.stack import Stack

NAME = "real"
_TRIES = 3


@dataclass(frozen=True)
class Service:
    """A server to start: its command line for some ports, and whether it answers on them."""

    folder: Path
    command: Callable[[Sequence[int]], Sequence[str]]
    answers: Callable[[Sequence[int]], bool]
    ports: int = 1
    environ: Callable[[Sequence[int]], Mapping[str, str]] = lambda _: {}
    seconds: float = 30.0


@contextlib.contextmanager
def running(service: Service) -> Iterator[Sequence[int]]:
    """The server on ports that the kernel gave; on others when somebody was quicker."""
    for _ in range(_TRIES):
        ports = free_ports(service.ports)
        with _started(service, ports) as process:
            if _ready(service, ports, process):
                yield ports
                return
    raise AssertionError((service.folder / "log").read_text(errors="replace")[-3000:])


@contextlib.contextmanager
def _started(service: Service, ports: Sequence[int]) -> Iterator[subprocess.Popen[bytes]]:
    with (service.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            service.command(ports),
            cwd=service.folder,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **service.environ(ports)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # nothing of it is kept
        process.wait()


def _ready(service: Service, ports: Sequence[int], process: subprocess.Popen[bytes]) -> bool:
    """Whether this very process lives, and answers in time."""
    return _until(lambda: process.poll() is not None or service.answers(ports), service.seconds) and not process.poll()


def _until(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (answer := done()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


@dataclass(frozen=True)
class Life:
    """One environment of a test on the running stack; `secrets` are what its YAML refers to."""

    root: Path
    stack: Stack
    secrets: dict[str, str]

    @property
    def server(self) -> Server:
        return open_server(self.stack.address, "", self.stack.token)

    def declare(self, document: Mapping[str, Any]) -> dict[str, str]:
        return {**project(self.root, self.stack, NAME, dict(document)), **self.secrets}

    def plan(self, document: Mapping[str, Any]) -> PlanReport:
        return plan(self.root, NAME, self.declare(document), no_progress, None)

    def apply(self, document: Mapping[str, Any], *destroy: str) -> ApplyReport:
        """Apply it: every proof holds, a second plan is empty, nothing drifts, and no secret stays in a file."""
        environ = self.declare(document)
        report = apply(self.root, NAME, environ, no_progress, no_question, Asked(destroy=destroy, many=True))

        assert report.pending == ()
        assert [proof for proof in report.proofs if not proof.ok] == []
        assert plan(self.root, NAME, environ, no_progress, None).changes == ()
        assert [one for one in drift(self.root, NAME, environ).drifts if _is_ours(one.title, document)] == []
        assert self._told() == []
        return report

    def _told(self) -> list[tuple[str, str]]:
        """Where a secret stands in a file: in the state, in the plan, in what is rendered."""
        return [
            (str(path), name)
            for path in self.root.rglob("*")
            if path.is_file()
            for content in _contents(path)
            for name, secret in self.secrets.items()
            if secret.encode() in content
        ]


def _contents(path: Path) -> list[bytes]:
    """What a file holds, and what is packed in it, as a plan is."""
    if not zipfile.is_zipfile(path):
        return [path.read_bytes()]
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


def _is_ours(title: str, document: Mapping[str, Any]) -> bool:
    """Whether it stands on a mount that the document declares: other tests have their own."""
    family, _, rest = title.partition("/")
    return any(rest == mount or rest.startswith(f"{mount}/") for mount in document.get(family, {}))
