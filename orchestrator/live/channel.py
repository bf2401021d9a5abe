"""One connection of a bulk run: asks go out in batches, their replies come back in the same order."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from orchestrator.live.http1 import Parser

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from orchestrator.live.http1 import Reply

T = TypeVar("T")
DEPTH = 8
_PIECE = 1 << 16
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_LIFE_SIGNS = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 15_000}


@dataclass(eq=False)
class Channel(Generic[T]):
    """What waits for a reply, and what the kernel has not taken yet; it never blocks, and never raises OSError."""

    socket: socket.socket = field(repr=False)
    waiting: deque[T] = field(default_factory=deque, repr=False)
    outgoing: bytearray = field(default_factory=bytearray, repr=False)
    lost: OSError | None = None
    depth: int = 1  # it doubles with each answer, so that few asks spread over all connections
    parser: Parser = field(default_factory=Parser, repr=False)

    @property
    def room(self) -> int:
        """How many more asks it takes: none till half of its replies are there, as one large batch costs least."""
        return 0 if self.over or len(self.waiting) > self.depth // 2 else self.depth - len(self.waiting)

    @property
    def over(self) -> bool:
        return self.lost is not None or self.parser.over

    def send(self, things: list[T], requests: bytes) -> None:
        self.waiting.extend(things)
        self.outgoing += requests
        self.flush()

    def flush(self) -> None:
        try:
            sent = self.socket.send(self.outgoing)
        except _NOT_NOW:
            return
        except OSError as error:
            self.lost = error
        else:
            del self.outgoing[:sent]

    def receive(self) -> list[tuple[T, Reply]]:
        """What is answered by now; a reply that nobody asked for ends the connection."""
        found: list[Reply] = []
        try:
            self._read(found)
        except _NOT_NOW:
            pass
        except OSError as error:
            self.lost = error
        if len(found) > len(self.waiting):
            self.lost = ConnectionAbortedError()
        if found:
            self.depth = min(2 * self.depth, DEPTH)
        return [(self.waiting.popleft(), reply) for reply in found[: len(self.waiting)]]

    def _read(self, found: list[Reply]) -> None:
        whole = isinstance(self.socket, ssl.SSLSocket)  # it gives a record at a time, and tells when there is none
        while data := self.socket.recv(_PIECE):
            found += self.parser.feed(data)
            if len(data) < _PIECE and not whole:
                return
        found += self.parser.end()
        self.lost = ConnectionResetError()


def connect(place: SplitResult, context: ssl.SSLContext | None, seconds: float) -> socket.socket:
    """A connection on which a host that vanished is noticed though nothing is sent."""
    host = place.hostname or ""
    found = socket.create_connection((host, place.port or (443 if context else 80)), seconds)
    with contextlib.ExitStack() as stack:
        stack.callback(found.close)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _LIFE_SIGNS.items():
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        ready = context.wrap_socket(found, server_hostname=host) if context else found
        stack.pop_all()
    ready.settimeout(0)
    return ready
