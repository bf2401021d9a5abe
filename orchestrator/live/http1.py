"""HTTP/1.1 as bytes, for pipelines: requests one behind the other, and the replies in the same order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_LONGEST_HEAD = 1 << 16
_BODILESS = {204, 304}
_SWITCHING = 101


class Malformed(ValueError):  # noqa: N818 - the name is the sentence: the reply is malformed
    """What came is no reply of HTTP/1.1."""


class Reply(NamedTuple):
    """A reply as it came; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    last: bool  # nothing that was asked behind it on this connection is answered


class _Head(NamedTuple):
    status: int
    headers: Mapping[str, str]
    length: int | None  # of the body; None for one in chunks, and for one that ends with the connection
    chunked: bool
    last: bool


def request(method: str, target: str, headers: bytes, body: bytes | None) -> bytes:
    """One request; its headers are whole lines."""
    line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    if body is None:
        return b"%b%b\r\n" % (line, headers)
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (line, headers, len(body), body)


class Parser:
    """The replies of one connection, from its bytes in whatever pieces they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._head: _Head | None = None
        self._chunks: list[bytes] = []
        self._trailing = False
        self.over = False

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that these bytes complete."""
        self._buffer += data
        found = []
        while not self.over and (reply := self._next()) is not None:
            found.append(reply)
        del self._buffer[: self._at]
        self._at = 0
        return found

    def end(self) -> list[Reply]:
        """The reply that the end of the connection completes, if it does."""
        head = self._head
        if head is None or self.over or head.chunked or head.length is not None:
            return []
        return [self._done(bytes(self._buffer))]

    def _next(self) -> Reply | None:
        while self._head is None:
            line = self._until(b"\r\n\r\n")
            if line is None:
                return None
            head = _parsed(line.decode("latin-1"))
            self._head = head if head.status >= 200 else None  # noqa: PLR2004 - 1xx only announces another
        if self._head.chunked:
            return self._done(b"".join(self._chunks)) if self._all_chunks() else None
        if self._head.length is None or len(self._buffer) - self._at < self._head.length:
            return None
        return self._done(self._take(self._head.length))

    def _done(self, body: bytes) -> Reply:
        assert self._head is not None  # noqa: S101 - for the types
        reply = Reply(self._head.status, self._head.headers, body, self._head.last)
        self._head, self._chunks, self._trailing, self.over = None, [], False, reply.last
        return reply

    def _all_chunks(self) -> bool:
        """Take the chunks that are whole; whether that was all of them, with what trails behind."""
        while not self._trailing:
            began = self._at
            line = self._until(b"\r\n")
            if line is None:
                return False
            if (size := _size(line)) == 0:
                self._trailing = True
            elif len(self._buffer) - self._at < size + 2:
                self._at = began
                return False
            else:
                self._chunks.append(self._take(size))
                if self._take(2) != b"\r\n":
                    raise Malformed("a chunk is longer than it says")
        while (line := self._until(b"\r\n")) is not None:
            if not line:
                return True
        return False

    def _take(self, size: int) -> bytes:
        self._at += size
        return bytes(self._buffer[self._at - size : self._at])

    def _until(self, mark: bytes) -> bytes | None:
        """What stands before the mark; both are taken."""
        found = self._buffer.find(mark, self._at)
        if (len(self._buffer) if found < 0 else found) - self._at > _LONGEST_HEAD:
            raise Malformed("a head or a line has no end")
        if found < 0:
            return None
        line = bytes(self._buffer[self._at : found])
        self._at = found + len(mark)
        return line


def _parsed(text: str) -> _Head:
    first, *lines = text.split("\r\n")
    if (match := _STATUS.fullmatch(first)) is None:
        raise Malformed("this is no status line")
    headers = _headers(lines)
    status, older = int(match[2]), match[1] == "0"
    words = headers.get("connection", "").lower()
    length, chunked = _framing(status, headers)
    endless = length is None and not chunked
    return _Head(status, headers, length, chunked, endless or "close" in words or (older and "keep-alive" not in words))


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name.strip() != name or "\n" in line:
            raise Malformed("this is no header")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _framing(status: int, headers: Mapping[str, str]) -> tuple[int | None, bool]:
    """How long the body is, and whether it comes in chunks; two answers are none: somebody would read them apart."""
    if status == _SWITCHING:
        raise Malformed("nobody asked for another protocol")
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None and (length is not None or coding.lower() != "chunked"):
        raise Malformed("the body's framing is not clear")
    if length is not None and _NUMBER.fullmatch(length) is None:
        raise Malformed("the body's length is no number")
    if status in _BODILESS or status < 200:  # noqa: PLR2004 - 1xx
        return 0, False
    return (None if length is None else int(length)), coding is not None


def _size(line: bytes) -> int:
    if (match := _CHUNK.fullmatch(line)) is None:
        raise Malformed("a chunk has no size")
    return int(match[1], 16)
