"""A container engine: the one that runs here, or one that is started for the tests and ended after them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.local import process

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = Path("/var/run/docker.sock")
SYSTEM = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
# Nothing of this machine's own network is changed: ports are published by a proxy, and nobody goes out.
APART = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it answers, as DOCKER_HOST has it."""
    if named := os.environ.get("DOCKER_HOST"):
        yield named
    elif SOCKET.exists():
        yield f"unix://{SOCKET}"
    else:
        if os.geteuid():
            pytest.skip("no container engine runs, and only root may start one")
        yield from _started(program("dockerd"), tmp_path_factory.mktemp("engine"))


def program(name: str) -> str:
    """A program that these tests need; `.ci/run` installs it, so there its absence is a failure."""
    found = shutil.which(name, path=SYSTEM)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")
    return found


def _started(dockerd: str, here: Path) -> Iterator[str]:
    (here / "settings.json").write_text("{}")
    host = f"unix://{here}/docker.sock"
    command = [dockerd, "--data-root", f"{here}/data", "--exec-root", f"{here}/exec", "--host", host]
    command += ["--pidfile", f"{here}/pid", "--config-file", f"{here}/settings.json", *APART]
    environ = {**os.environ, "PATH": SYSTEM}
    with (here / "log").open("w") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environ)
        try:
            ready = process.until(lambda: _answers(host, running) or None, 60.0)
            assert ready, (here / "log").read_text()[-2000:]
            yield host
        finally:
            running.terminate()
            running.wait(60)
            shutil.rmtree(here, ignore_errors=True)


def _answers(host: str, running: subprocess.Popen[bytes]) -> bool:
    assert running.poll() is None, "dockerd ended"
    said = subprocess.run([program("docker"), "--host", host, "version"], capture_output=True, check=False)
    return said.returncode == 0
