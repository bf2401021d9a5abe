"""A launcher: becomes the server named on its command line, apart from whoever started it, its pid on record.

It inherits the lock of the `up` that runs it and drops it only by becoming the server. So an `up` that dies at any
instant leaves either no server or one whose pid the next `up` finds.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path


def born(pid: int) -> str | None:
    """What tells this process from a later one with the same pid, or None when there is none."""
    if not sys.platform.startswith("linux"):
        return _born_elsewhere(pid)
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if state in "ZX" else f"{rest[18]}@{boot}"


def _born_elsewhere(pid: int) -> str | None:
    import subprocess  # noqa: PLC0415 - a launcher starts fast

    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None


def _become(command: list[str], pid_file: str, log_file: str, lock: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, stream)
    Path(pid_file).write_text(f"{os.getpid()} {born(os.getpid())}\n")
    os.set_inheritable(lock, False)  # noqa: FBT003 - the name of the function says it
    os.execv(command[0], command)  # noqa: S606 - a list, and no shell


def main(lock: str, pid_file: str, log_file: str, *command: str) -> None:
    """Return in the launcher once the server runs; in the server, never."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a server's memory holds keys
    os.setsid()
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            _become(list(command), pid_file, log_file, int(lock))
        except OSError as error:
            os.write(writing, str(error).encode())
        os._exit(1)
    os.close(writing)
    if failure := os.read(reading, 4096):
        sys.exit(failure.decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
