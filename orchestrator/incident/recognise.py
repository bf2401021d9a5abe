"""What a leaked text holds, told by the shapes that servers give to what they issue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NEAR = 48  # so far in front of a value a word may stand that says what it is
_MIXED = 6  # of 24 random letters, fewer than so many large or small ones are a name in a program
_BEGIN, _END = r"(?<![\w.$)\]-])", r"(?![\w(-])"
_INSIDE = r"(?:\.[A-Za-z0-9]{4,8})?"  # a namespace's id
_UUID = r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])"
_KEY = r"(?<![\w+/=])[A-Za-z0-9+/]{43}[A-Za-z0-9+/=](?![\w+/=])"
_SSH = r"(?:ssh-(?:rsa|dss|ed25519)|sk-ssh-ed25519|(?:sk-)?ecdsa-sha2-nistp\d+)"


@dataclass(frozen=True)
class _Shape:
    """A sort of secret: how it is written, which words must stand near it, and what else must hold."""

    sort: str
    pattern: re.Pattern[str]
    near: re.Pattern[str] | None = None
    holds: Callable[[str], bool] = bool


def _pem(label: str) -> re.Pattern[str]:
    """A PEM block, or what a line has of it; a line break may be written as backslash and n."""
    return re.compile(rf"-----BEGIN {label}-----(?:(?!-----BEGIN ).)*?(?:-----END {label}-----|\Z)", re.DOTALL)


def _words(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)


def _is_random(text: str) -> bool:
    """Whether the 24 characters after a prefix are drawn by a server, not words joined by a programmer."""
    body = text.partition(".")[2][:24]
    large, small = sum(map(str.isupper, body)), sum(map(str.islower, body))
    return any(map(str.isdigit, body)) or min(large, small) >= _MIXED


_SHAPES = (  # the first that fits has it
    _Shape("ssh-key", _pem("OPENSSH PRIVATE KEY")),
    _Shape("private-key", _pem("(?:[A-Z0-9]+ )*PRIVATE KEY")),
    _Shape("certificate", _pem("(?:TRUSTED |X509 )?CERTIFICATE")),
    _Shape("ssh-certificate", re.compile(_SSH + r"-cert-v01@openssh\.com [A-Za-z0-9+/]+=*")),
    _Shape("ssh-key", re.compile(_SSH + r"(?:@openssh\.com)? AAAA[A-Za-z0-9+/]+=*")),
    _Shape("token", re.compile(rf"{_BEGIN}hvs\.[\w-]{{20,}}{_INSIDE}{_END}")),
    _Shape("batch-token", re.compile(rf"{_BEGIN}(?:hvb\.[\w-]{{20,}}|b\.[\w-]{{80,}}){_INSIDE}{_END}")),
    _Shape("recovery-token", re.compile(rf"{_BEGIN}hvr\.[\w-]{{20,}}{_END}")),
    _Shape("token", re.compile(rf"{_BEGIN}s\.[A-Za-z0-9]{{24}}{_INSIDE}{_END}"), holds=_is_random),
    _Shape("recovery-token", re.compile(rf"{_BEGIN}r\.[A-Za-z0-9]{{24}}{_END}"), holds=_is_random),
    _Shape("secret-id-accessor", re.compile(_UUID), _words(r"secret[_\W]*id[_\W]*accessor")),
    _Shape("secret-id", re.compile(_UUID), _words(r"secret[_\W]*id")),
    _Shape("role-id", re.compile(_UUID), _words(r"role[_\W]*id")),
    _Shape("approle-id", re.compile(_UUID), _words(r"app[_\W]*role|vault|openbao")),
    _Shape("accessor", re.compile(rf"(?<![\w.])[A-Za-z0-9]{{24}}{_INSIDE}{_END}"), _words("accessor")),
    _Shape("unseal-key", re.compile(_KEY), _words(r"unseal|recovery|key[_\W]*share|keys(?:_base64)?\b|shamir")),
)
_HIDDEN = _words(r"redacted|\*{3,}|^x{6,}$|^.{0,24}\.\.\.$")


def told(text: str, context: str = "") -> tuple[tuple[str, str], ...]:
    """The sorts and values in a text; `context` is what else a scanner says of it, for words that must be near.

    >>> [sort for sort, _ in told("VAULT_TOKEN=hvs." + "a1" * 12)]
    ['token']
    """
    lead = context[: context.index(text)] if text in context else ""
    rest, found = text, []
    for shape in _SHAPES:
        for match in reversed(list(_fitting(shape, lead, rest, context))):
            found.append((match.start(), shape.sort, match[0].replace("\\n", "\n").strip()))
            rest = rest[: match.start()] + "\0" * len(match[0]) + rest[match.end() :]
    if not found and _is_key(text.strip()):
        return (("unseal-key", text.strip()),)
    return tuple((sort, value) for _, sort, value in sorted(found))


def _fitting(shape: _Shape, lead: str, text: str, context: str) -> Iterator[re.Match[str]]:
    for match in shape.pattern.finditer(text):
        if shape.holds(match[0]) and _named(shape, lead + text[: match.start()], context):
            yield match


def _named(shape: _Shape, before: str, context: str) -> bool:
    """Whether the shape's word stands in front, nearest of those that compete for it, or anywhere in the context."""
    if shape.near is None:
        return True
    head = before[: before.rindex("[")] if "[" in before else ""  # of the list that it is in
    for words in (before[-_NEAR:], head[-_NEAR:]):
        last = {one.sort: _last(one.near, words) for one in _SHAPES if one.near and one.pattern == shape.pattern}
        if max(last.values()) >= 0:
            return last[shape.sort] == max(last.values())
    return shape.near.search(context) is not None


def _last(word: re.Pattern[str], text: str) -> int:
    return max((found.start() for found in word.finditer(text)), default=-1)


def _is_key(text: str) -> bool:
    """Whether it is 33 bytes in base64 and nothing else: a share of an unseal key."""
    return bool(re.fullmatch(r"[A-Za-z0-9+/]{44}", text)) and _is_random("." + text)


def is_hidden(text: str) -> bool:
    """Whether a scanner was told to leave the value out."""
    return _HIDDEN.search(text) is not None
