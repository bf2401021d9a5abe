"""A cluster as files: looked at, or written where people take them from."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cluster.render.generated import is_marked, why_not_ours
from orchestrator.cluster.render.tree import rendered
from orchestrator.cluster.seals import SEALS
from orchestrator.config import clusters
from orchestrator.config.words import meant
from orchestrator.errors import Refused, StrongroomError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.declared import Cluster

_FOLDERS = {"snapshots", "seal.env.example"}  # what not every cluster has
_MARK_ENDS = 1000


@dataclass(frozen=True)
class Rendered:
    """The files, and when they were written: where, which of them changed, and which are of an older rendering."""

    cluster: str
    files: Mapping[str, str]
    out: Path | None = None
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def render(root: Path, name: str, environ: Mapping[str, str], only: str = "", out: Path | None = None) -> Rendered:
    """The files of a cluster, or those that `only` names; written into `out` if that is given."""
    cluster = clusters.named(root, name, environ)
    everything = _everything(cluster)
    files = _chosen(everything, only)
    if out is None:
        return Rendered(name, files)
    _refuse_foreign(name, files, out)
    changed = tuple(path for path, text in files.items() if _write(out / path, text))
    return Rendered(name, files, out, changed, _left(name, everything, out))


def _everything(cluster: Cluster) -> dict[str, str]:
    if not cluster.nodes:
        raise Refused(f"cluster {cluster.name} declares no `nodes:`; there is nothing to render")
    for seal in (cluster.seal, cluster.migrate_from):
        if seal and (missing := [name for name in SEALS[seal.kind].made if name not in seal.settings]):
            raise Refused(
                f"cluster {cluster.name}: a cluster that runs here makes its own {' and '.join(missing)}, but what is "
                f"rendered is for machines elsewhere; write it under {seal.kind} in its file"
            )
    return rendered(cluster)


def _chosen(files: dict[str, str], only: str) -> dict[str, str]:
    """One file, or all of a folder."""
    if not only:
        return files
    found = {path: text for path, text in files.items() if path == only or path.startswith(f"{only.rstrip('/')}/")}
    if not found:
        raise StrongroomError(f"--only {only}: no such file is rendered; {meant(only, tuple(files))}")
    return found


def _refuse_foreign(name: str, files: Mapping[str, str], out: Path) -> None:
    """All of them before the first is written."""
    there = {path: _content(out / path) for path in files}
    reasons = {path: why_not_ours(name, content) for path, content in there.items() if content is not None}
    wrong = [f"{out / path}: {reason}" for path, reason in reasons.items() if reason]
    if wrong:
        raise Refused(
            "nothing is written, as that would overwrite what is not ours to overwrite; "
            "move these away, or name another folder:\n" + "\n".join(wrong)
        )


def _content(path: Path) -> str | None:
    """None where there is nothing; what is no text is not ours, whatever it is."""
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}; nothing is written") from error


def _write(path: Path, text: str) -> bool:
    """Put a file there at one stroke, readable as the caller's umask says: nothing in it is secret."""
    if _content(path) == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o666 & ~_umask())
    Path(name).replace(path)
    return True


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _left(name: str, files: Mapping[str, str], out: Path) -> tuple[str, ...]:
    """Rendered once, and not any more, such as the files of a node that left."""
    ours = sorted({path.partition("/")[0] for path in files} | _FOLDERS)
    there = (path for top in ours for path in (out / top, *(out / top).rglob("*")) if path.is_file())
    known = {out / path for path in files}
    return tuple(str(path.relative_to(out)) for path in sorted(there) if path not in known and _has_mark(path, name))


def _has_mark(path: Path, name: str) -> bool:
    """What cannot be read was not written by us."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return is_marked(file.read(_MARK_ENDS), name)
    except OSError:
        return False
