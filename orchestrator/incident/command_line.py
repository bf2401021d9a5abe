"""What the command line names as leaked; a secret comes from stdin, a file or a prompt, never from an argument."""

from __future__ import annotations

import re
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_A_TOKEN = re.compile(r"^(hv[sbr]\.|[sbr]\.)[A-Za-z0-9_.-]{20,}$")
_WAYS = "write `-` for stdin, `file:PATH`, or `prompt`"


def approval(way: str) -> str:
    """The token of a second person, once it is asked for; empty where nobody was named."""
    return _lines(way, "--approve")[0] if way else ""


def targets(named: Mapping[str, Sequence[str] | None]) -> list[tuple[str, str]]:
    """What was named, by its flag; an accessor may stand in a file, on stdin, or be asked for."""
    flags = [(name.replace("_", "-"), value) for name, values in named.items() for value in values or ()]
    return [(flag, one) for flag, value in flags for one in _meant(flag, value)]


def _meant(flag: str, value: str) -> list[str]:
    return _lines(value, f"--{flag}") if flag.endswith("accessor") and _is_way(value) else [value]


def _is_way(way: str) -> bool:
    return way in {"-", "prompt"} or way.startswith("file:")


def tokens(ways: Iterable[str]) -> list[str]:
    """The leaked tokens that the ways lead to: one or several lines each."""
    return [token for way in ways for token in _lines(way, "--token")]


def _lines(way: str, flag: str) -> list[str]:
    if _A_TOKEN.match(way):
        raise StrongroomError(
            f"{flag}: a token stands on the command line, where every process of this machine sees it; {_WAYS}"
        )
    found = [line.strip() for line in _read(way, flag).splitlines() if line.strip()]
    if not found:
        raise StrongroomError(f"{flag} {way}: there is nothing in it")
    return found


def _read(way: str, flag: str) -> str:
    if way == "-":
        return sys.stdin.read()
    if way == "prompt":
        return getpass(f"{flag}, a token: ", sys.stderr)
    if way.startswith("file:"):
        try:
            return Path(way.removeprefix("file:")).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a UTF-8 text"
        raise StrongroomError(f"{flag} {way}: {why}")
    raise StrongroomError(f"{flag}: the token itself is never an argument; {_WAYS}")


def is_a_token(text: str) -> bool:
    """Whether a text looks like a token itself."""
    return bool(_A_TOKEN.match(text))
