"""A server process: started, found again by its identity, waited for, stopped. Each has a folder with `pid` and `log`.

Its identity is its start time: from /proc on Linux, from `ps` elsewhere (whole seconds there).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from orchestrator.errors import StrongroomError
from orchestrator.local import detach, files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
ISOLATED = (sys.executable, "-I", "-S")
FOREIGN = ("BAO_", "VAULT_", "AWS_", "PG")


def environment() -> dict[str, str]:
    """Our environment without what would quietly configure a server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def alive(folder: Path) -> int | None:
    """The pid of this folder's server if that very process still runs."""
    pid, _, born = (files.read(folder / "pid") or "").strip().partition(" ")
    return int(pid) if pid.isdigit() and born and detach.born(int(pid)) == born else None


def start(folder: Path, command: Sequence[str], lock: int, more: Mapping[str, str] | None = None) -> None:
    """Start the folder's server in it; `more` are variables of its environment."""
    launcher = [*ISOLATED, detach.__file__, str(lock), str(folder / "pid"), str(folder / "log"), *command]
    done = subprocess.run(
        launcher,
        cwd=folder,
        env={**environment(), **(more or {})},
        pass_fds=[lock],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StrongroomError(f"{command[0]} cannot be started: {done.stderr.strip()}")


def stop(folder: Path, how: signal.Signals, patience: float = 30.0) -> bool:
    """Ask the server to end, insist after the deadline; whether there was one."""
    pid = alive(folder)
    if pid is None:
        return False
    for request, seconds in ((how, patience), (signal.SIGKILL, 5.0)):
        _signal(pid, request)
        _signal(pid, signal.SIGCONT)  # one that was suspended would not hear it
        if until(lambda: alive(folder) is None or None, seconds):
            (folder / "pid").unlink(missing_ok=True)
            return True
    raise StrongroomError(f"process {pid} survived SIGKILL for 5 s; see why with `ps -o stat,wchan -p {pid}`")


def _signal(pid: int, request: signal.Signals) -> None:
    try:
        os.kill(pid, request)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise StrongroomError(f"process {pid} is another account's; stop the stack as who started it") from error


def wait(folder: Path, what: str, ready: Callable[[], T | None], seconds: float = 30.0) -> T:
    """The first answer of `ready` that is not None, while the server lives."""

    def look() -> T | None:
        living = alive(folder)
        answer = ready()
        if answer is None and living is None:
            raise StrongroomError(f"{what}: the server ended instead. {tail(folder)}")
        return answer

    if (answer := until(look, seconds)) is None:
        raise StrongroomError(f"{what}: not within {seconds:.0f} s. {tail(folder)}")
    return answer


def until(ready: Callable[[], T | None], seconds: float) -> T | None:
    """The first answer that is not None, or None after the deadline."""
    deadline = time.monotonic() + seconds
    while (answer := ready()) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer


def tail(folder: Path, lines: int = 10) -> str:
    """The end of the server's log, for a message."""
    text = "\n".join((files.read(folder / "log") or "").splitlines()[-lines:])
    return f"Put right what {folder / 'log'} says, and run `invoke up` again; it ends with:\n{text}"


def note(folder: Path, text: str) -> None:
    with (folder / "log").open("a") as log:
        log.write(f"strongroom: {text}\n")


def listens(pid: int | None, port: int) -> bool:
    """Whether this very process owns the listener: an answer on the port is no proof.

    Taken on trust where there is no /proc, or where it does not show us another account's process.
    """
    if pid is None:
        return False
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        held = {_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except (FileNotFoundError, PermissionError):
        return detach.born(pid) is not None
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == "0A"}
    return not held.isdisjoint(sockets)


def inhabitants(folder: Path) -> list[int]:
    """The processes whose working directory is this folder (none is found without /proc)."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(PermissionError):  # another account's process is none of ours
            if _target(link) == str(folder):
                found.append(int(link.parent.name))
    return found


def has_terminal(pid: int) -> bool:
    """Whether a person started it at a terminal, as far as that can be seen."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[4] != "0"
    except OSError:
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except (FileNotFoundError, ProcessLookupError):  # it ended as we looked
        return ""


def is_free(port: int) -> bool:
    """Whether this port is one, and a server may listen on it."""
    if port == 0:
        return False
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is no obstacle
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports the kernel gives; all are held until the last is chosen, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
