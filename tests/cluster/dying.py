"""A program that works on snapshots and kills itself at one step: `python dying.py ROOT VERB STEP`.

STEP is `piece` (the first bytes of a snapshot are on disk), the name of a file that was just written or its ending, or
the path of a request that was just answered.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from orchestrator.live import probe, stream
from orchestrator.local import files
from tests.cluster.house import NAME, House

if TYPE_CHECKING:
    from orchestrator.live.probe import Said


def main(root: str, verb: str, step: str) -> None:
    from orchestrator.commands import snapshots as commands  # noqa: PLC0415 - after what is wrapped

    def reached(name: str) -> None:
        if name.endswith(step):
            os.kill(os.getpid(), signal.SIGKILL)

    write, ask, download = files.write, probe.ask, stream.download

    def writing(path: Path, content: str | bytes) -> None:
        write(path, content)
        reached(path.name)

    def asking(url: str, path: str, **more: object) -> Said:
        said = ask(url, path, **more)  # type: ignore[arg-type]
        reached(path)
        return said

    def downloading(url: str, path: str, file: BinaryIO, **more: object) -> int:
        if step != "piece":
            return download(url, path, file, **more)  # type: ignore[arg-type]
        file.write(b"\x1f\x8b" * 100)
        file.flush()
        reached("piece")
        return 0

    files.write, probe.ask, stream.download = writing, asking, downloading
    here, environ = Path(root), House(Path(root)).environ
    if verb == "snapshot":
        commands.snapshot(here, NAME, environ, print)
    elif verb == "drill":
        commands.drilled(here, NAME, environ, print, size=1, to="", connected=False)
    else:
        nothing = {"show": lambda _: None, "ask": lambda _: None}
        commands.restored(here, NAME, environ, print, "", empty=False, to="", yes="", **nothing)


if __name__ == "__main__":
    main(*sys.argv[1:])
