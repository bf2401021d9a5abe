"""The process of a node, as Linux shows it under /proc; only that of this machine can be seen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_LIMITS = re.compile(r"Max core file size\s+(\S+)\s+(\S+)")


@dataclass(frozen=True)
class Process:
    """What the system lets a server do, and how it keeps its memory."""

    pid: int
    uid: int
    core_limit: str  # "0": it leaves no core
    locked: int  # KiB of memory that is never swapped out
    swapped: int  # KiB of it that is
    swap_there: bool  # whether the machine has any swap
    swap_allowed: bool  # whether its control group lets it use some
    program: Path


def look(pid: int) -> Process:
    """What stands in /proc of it; OSError where there is none, or where it is not ours to see."""
    here = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (here / "status").read_text().splitlines() if ":" in line)
    limits = _LIMITS.search((here / "limits").read_text())
    return Process(
        pid,
        int(status["Uid"].split()[1]),
        limits[1] if limits else "unknown",
        _kib(status.get("VmLck", "0")),
        _kib(status.get("VmSwap", "0")),
        len(Path("/proc/swaps").read_text().splitlines()) > 1,
        _swap_allowed(here),
        (here / "exe").readlink(),
    )


def _kib(said: str) -> int:
    return int(said.split(maxsplit=1)[0])


def _swap_allowed(here: Path) -> bool:
    """Whether the control group gives it swap; so does one that does not say."""
    for line in (here / "cgroup").read_text().splitlines():
        number, _, path = line.split(":", 2)
        limit = Path("/sys/fs/cgroup") / path.strip("/") / "memory.swap.max"
        if number == "0" and limit.is_file():
            return limit.read_text().strip() != "0"
    return True
