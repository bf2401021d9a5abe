"""What the command line names as leaked; a secret comes from stdin, a file or a prompt, never from an argument."""

from __future__ import annotations

import math
import re
import sys
import warnings
from getpass import GetPassWarning, getpass
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
        if sys.stdin is None:
            raise StrongroomError(f"{flag} -: stdin is closed")
        return sys.stdin.read()
    if way == "prompt":
        return _typed(flag)
    if way.startswith("file:"):
        try:
            return Path(way.removeprefix("file:")).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a UTF-8 text"
        raise StrongroomError(f"{flag} {way}: {why}")
    raise StrongroomError(f"{flag}: the token itself is never an argument; {_WAYS}")


def _typed(flag: str) -> str:
    """What a person types, which nobody sees."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)
            return getpass(f"{flag}, a token: ", sys.stderr)
    except (EOFError, GetPassWarning) as error:
        raise StrongroomError(f"{flag} prompt: there is no terminal to type it on") from error


def rate(said: str) -> float:
    """How many requests a second at most; 0 for as many as may be.

    >>> rate("50")
    50.0
    """
    try:
        found = float(said)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise StrongroomError(f"--max-rate {said}: write how many requests a second, such as 50")
    return found


def is_a_token(text: str) -> bool:
    """Whether a text looks like a token itself."""
    return bool(_A_TOKEN.match(text))
