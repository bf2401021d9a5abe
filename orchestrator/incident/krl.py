"""Key revocation lists as OpenSSH reads them: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.krl"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAGIC = b"SSHKRL\n\0"
_FORMAT = 1
_CERTIFICATES, _KEYS, _SIGNATURE, _PRINTS = 1, 2, 4, 5
_SERIALS, _IDS = 0x20, 0x23


class Entry(NamedTuple):
    """One thing that is revoked: a `serial` or an `id` under a CA's key, a `key`, or the SHA-256 `print` of one."""

    what: str
    authority: bytes
    value: int | bytes


@dataclass(frozen=True)
class Krl:
    """A list as it stands in a file; its sections stay as they are."""

    version: int
    comment: bytes
    sections: tuple[tuple[int, bytes], ...]

    def content(self, made: int) -> bytes:
        """The bytes of the file, made at this time; a signature is of other bytes, so it is left out."""
        numbers = (_FORMAT.to_bytes(4, "big"), *(one.to_bytes(8, "big") for one in (self.version, made, 0)))
        sections = (bytes([what]) + _text(data) for what, data in self.sections if what != _SIGNATURE)
        return b"".join((_MAGIC, *numbers, _text(b""), _text(self.comment), *sections))

    def entries(self) -> frozenset[Entry]:
        """What it names one by one; ranges and bitmaps of serials are left out."""
        return frozenset(entry for what, data in self.sections for entry in _entries(what, data))


def parse(content: bytes) -> Krl:
    """The list in a file's bytes, or ValueError.

    >>> parse(Krl(3, b"ours", sections([Entry("key", b"", b"blob")])).content(0)).entries()
    frozenset({Entry(what='key', authority=b'', value=b'blob')})
    """
    if not content.startswith(_MAGIC):
        raise ValueError("it does not begin as one")
    at = _Reader(content[len(_MAGIC) :])
    if at.number(4) != _FORMAT:
        raise ValueError("it is of another format than 1")
    version, _, _ = (at.number(8) for _ in range(3))
    at.text()
    comment, found = at.text(), []
    while at.rest:
        what = at.number(1)
        if what == _SIGNATURE:  # of everything so far; each is two texts
            found.append((what, at.text() + at.text()))
        else:
            found.append((what, at.text()))
    return Krl(version, comment, tuple(found))


def sections(entries: Iterable[Entry]) -> tuple[tuple[int, bytes], ...]:
    """The sections that revoke these."""
    every = sorted(set(entries), key=lambda one: (one.what, one.authority, str(one.value)))
    found = [
        (_CERTIFICATES, _certificates(one, every)) for one in sorted({one.authority for one in every if _under(one)})
    ]
    for what, section in (("key", _KEYS), ("print", _PRINTS)):
        texts = [_text(one.value) for one in every if one.what == what and isinstance(one.value, bytes)]
        if texts:
            found.append((section, b"".join(texts)))
    return tuple(found)


def _under(one: Entry) -> bool:
    return one.what in {"serial", "id"}


def _certificates(authority: bytes, every: Iterable[Entry]) -> bytes:
    own = [one for one in every if one.authority == authority and _under(one)]
    serials = sorted(one.value for one in own if isinstance(one.value, int))
    ids = [one.value for one in own if isinstance(one.value, bytes)]
    parts = [_text(authority), _text(b"")]
    if serials:
        parts.append(bytes([_SERIALS]) + _text(b"".join(one.to_bytes(8, "big") for one in serials)))
    if ids:
        parts.append(bytes([_IDS]) + _text(b"".join(map(_text, ids))))
    return b"".join(parts)


def _entries(what: int, data: bytes) -> Iterator[Entry]:
    at = _Reader(data)
    if what in {_KEYS, _PRINTS}:
        yield from (Entry("key" if what == _KEYS else "print", b"", one) for one in at.texts())
    elif what == _CERTIFICATES:
        authority = at.text()
        at.text()
        while at.rest:
            sort, inside = at.number(1), _Reader(at.text())
            if sort == _SERIALS:
                yield from (Entry("serial", authority, inside.number(8)) for _ in range(len(inside.rest) // 8))
            elif sort == _IDS:
                yield from (Entry("id", authority, one) for one in inside.texts())


def _text(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


class _Reader:
    """Numbers and texts one after the other; what is cut short is a ValueError."""

    def __init__(self, content: bytes) -> None:
        self.rest = content

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def text(self) -> bytes:
        return self._take(self.number(4))

    def texts(self) -> Iterator[bytes]:
        while self.rest:
            yield self.text()

    def _take(self, size: int) -> bytes:
        if len(self.rest) < size:
            raise ValueError("it is cut short")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken
