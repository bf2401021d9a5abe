"""References to secrets, and what they refer to; no message holds a value."""

from __future__ import annotations

import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.shapes import REFERENCE_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.live.server import Server

_PATIENCE = 30.0


def resolve(reference: str, environ: Mapping[str, str], root: Path, server: Server | None = None) -> str:
    """The secret a reference names, never empty."""
    if not re.match(REFERENCE_PATTERN, reference):
        raise StrongroomError("a secret is written as a reference: env:NAME, file:PATH, cmd:COMMAND or kv:PATH#FIELD")
    scheme, _, rest = reference.partition(":")
    value = _value(scheme, rest, environ, root, server)
    if not value:
        raise StrongroomError(f"{reference} is empty; give it a value")
    return value


def resolve_all(
    references: Mapping[str, str], environ: Mapping[str, str], root: Path, server: Server | None = None
) -> dict[str, str]:
    """Each key's secret, each reference asked once; all that fail are listed in one error."""
    distinct = sorted(set(references.values()))
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda reference: _attempt(reference, environ, root, server), distinct)
        found = dict(zip(distinct, answers, strict=True))
    failures = [f"{key}: {found[reference][1]}" for key, reference in references.items() if found[reference][1]]
    if failures:
        raise StrongroomError("\n".join(failures))
    return {key: found[reference][0] for key, reference in references.items()}


def _attempt(reference: str, environ: Mapping[str, str], root: Path, server: Server | None) -> tuple[str, str]:
    """The secret, or why there is none."""
    try:
        return resolve(reference, environ, root, server), ""
    except StrongroomError as error:
        return "", str(error)


def _value(scheme: str, rest: str, environ: Mapping[str, str], root: Path, server: Server | None) -> str:
    if scheme == "env":
        return _variable(rest, environ)
    if scheme == "file":
        return _file(rest, root)
    if scheme == "cmd":
        return _command(rest, environ, root)
    return _stored(rest, server)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise StrongroomError(f"env:{name} is not set; export {name}")
    return environ[name]


def _file(name: str, root: Path) -> str:
    try:
        return (root / Path(name).expanduser()).read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        why = error.strerror or "unreadable"
    except UnicodeDecodeError:  # it holds the bytes, so nothing is chained to it
        why = "not a UTF-8 text"
    raise StrongroomError(f"file:{name} cannot be read: {why}; correct the path, or write the file")


def _command(line: str, environ: Mapping[str, str], root: Path) -> str:
    try:
        done = _run(shlex.split(line), environ, root)
        if done.returncode == 0:
            return done.stdout.decode().removesuffix("\n")
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = f"fails with status {done.returncode}" + (f": {said[-1]}" if said else "")
    except (OSError, ValueError) as error:
        why = f"cannot be run: {error.strerror if isinstance(error, OSError) else _said(error)}"
    except subprocess.TimeoutExpired:
        why = f"does not end within {_PATIENCE:.0f} s"
    raise StrongroomError(f"cmd:{line} {why}; run it by hand to see more")


def _said(error: ValueError) -> str:
    """What a ValueError says, but not the output that a UnicodeDecodeError quotes."""
    return "it prints no UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _run(command: Sequence[str], environ: Mapping[str, str], root: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, cwd=root, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
    )


def _stored(rest: str, server: Server | None) -> str:
    """A field of a KV secret, whose path is written as for `vault kv get`."""
    reference, (path, _, field) = f"kv:{rest}", rest.rpartition("#")
    if server is None:
        raise StrongroomError(f"{reference} needs a session, and a login cannot wait for one; use env:, file: or cmd:")
    try:
        fields = _fields(path.strip("/"), server)
    except StrongroomError as error:
        raise StrongroomError(f"{reference}: {error}") from error
    if fields is None:
        raise StrongroomError(f"{reference}: there is no secret at {path}; write it, or correct the path")
    if not isinstance(fields.get(field), str):
        raise StrongroomError(f"{reference}: the secret at {path} has no text named {field}; write it, or correct it")
    return str(fields[field])


def _fields(path: str, server: Server) -> Mapping[str, Json] | None:
    mount = server.read(f"sys/internal/ui/mounts/{path}") or {}
    there, options = str(mount.get("path") or ""), mount.get("options") or {}
    if options.get("version") != "2":
        return server.read(path)
    secret = server.read(f"{there}data/{path.removeprefix(there)}")
    return None if secret is None else secret["data"]
