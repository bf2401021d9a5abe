"""Which paths a policy's pattern covers, and which of two patterns a server heeds."""

from __future__ import annotations

from typing import NamedTuple


class Rank(NamedTuple):
    """How closely a pattern fits: of those that cover a path the greatest decides, alone."""

    literal: int  # how far it goes before its first + or *
    whole: bool  # no * at its end
    named: int  # the more +, the less
    length: int
    text: str


def is_exact(pattern: str) -> bool:
    """Whether the server takes it for one path.

    >>> is_exact("a/b"), is_exact("a/b*"), is_exact("a/+/b"), is_exact("a+/b")
    (True, False, False, True)
    """
    return not (pattern.endswith("*") or _has_segments(pattern))


def rank(pattern: str, path: str) -> Rank | None:
    """How closely a pattern that is not exact fits the path; None where it does not cover it.

    >>> rank("a/+/c", "a/b/c") < rank("a/b/*", "a/b/c"), rank("a/+", "a/b/c")
    (True, None)
    """
    glob = pattern.endswith("*")
    text = pattern.removesuffix("*") if glob else pattern
    if not _has_segments(pattern):
        return Rank(_bytes(text), not glob, 0, _bytes(text), text) if path.startswith(text) else None
    wanted, given = text.split("/"), path.split("/")
    if len(given) < len(wanted) or (len(given) > len(wanted) and not glob):
        return None
    last = len(wanted) - 1
    for place, (one, other) in enumerate(zip(wanted, given, strict=False)):
        if one not in {"+", other} and not (glob and place == last and other.startswith(one)):
            return None
    return Rank(_bytes(text[: text.index("+")]), not glob, -wanted.count("+"), _bytes(text), text)


def _has_segments(pattern: str) -> bool:
    return pattern == "+" or "/+" in pattern or pattern.startswith("+/")


def _bytes(text: str) -> int:
    """The length as the server counts it."""
    return len(text.encode())
