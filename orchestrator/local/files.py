"""Private files, written whole or not at all, and the lock of the stack."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 120.0
_STACK = "another up, down or reset has held this stack"


def private_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write(path: Path, content: str | bytes) -> None:
    """Replace a file by one only its owner reads; a crash leaves the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


def read(path: Path) -> str | None:
    """The text of a file, or None when there is no such file."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Delete a folder at one stroke: what a crash leaves half deleted no longer has its name."""
    trash = path.with_name(f".trash.{path.name}")
    shutil.rmtree(trash, ignore_errors=True)
    if path.exists():
        path.rename(trash)
        shutil.rmtree(trash)


@contextlib.contextmanager
def locked(path: Path, patience: float = PATIENCE, who: str = _STACK) -> Iterator[int]:
    """Hold the stack for oneself; programs that inherit the descriptor hold it too, until they end."""
    deadline = time.monotonic() + patience
    while True:
        with path.open("a") as file:
            os.fchmod(file.fileno(), 0o600)
            while not _try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    raise StrongroomError(
                        f"{path}: {who} for {patience:.0f} s; "
                        f"wait for it, or end it (`fuser {path}` names it), and run again"
                    )
                time.sleep(0.02)
            if _is_there(path, file.fileno()):  # else its folder was deleted while we waited
                yield file.fileno()
                return
        private_folder(path.parent)


def _is_there(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
