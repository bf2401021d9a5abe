"""A program that brings a cluster up and kills itself at one step: `python killed.py ROOT STEP`.

STEP is the name of a file that was just written, the path of a request that was just answered, or `apply`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.live import probe
from orchestrator.local import files
from orchestrator.terraform.stream import Started
from tests.cluster.house import NAME, House

if TYPE_CHECKING:
    from orchestrator.live.probe import Said


def main(root: str, step: str) -> None:
    from orchestrator.commands import cluster as commands  # noqa: PLC0415 - after what is wrapped

    def reached(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    write, ask = files.write, probe.ask

    def writing(path: Path, content: str | bytes) -> None:
        write(path, content)
        reached(path.name)

    def asking(url: str, path: str, **more: object) -> Said:
        said = ask(url, path, **more)  # type: ignore[arg-type]
        reached(path)
        return said

    files.write, probe.ask = writing, asking
    commands.up(
        Path(root),
        NAME,
        House(Path(root)).environ,
        print,
        lambda event: reached("apply") if isinstance(event, Started) else None,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
