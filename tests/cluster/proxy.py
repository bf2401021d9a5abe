"""A TCP proxy that can pass, refuse, or hang: what a network does to a service."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PASS, REFUSE, HANG = "pass", "refuse", "hang"
_CHUNK = 65536


@dataclass
class Proxy:
    """One port in front of another; `set` says what happens from now on, and ends the connections that are open."""

    target: int
    port: int
    mode: str = PASS
    listener: socket.socket | None = None
    ends: list[socket.socket] = field(default_factory=list)

    def set(self, mode: str) -> None:
        self.mode = mode
        self._close_open()
        if mode == REFUSE:
            self._stop_listening()
        elif self.listener is None:
            self._listen()

    def close(self) -> None:
        self._stop_listening()
        self._close_open()

    def _listen(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(self.listener,), daemon=True).start()

    def _stop_listening(self) -> None:
        if self.listener is not None:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            self.listener.close()
            self.listener = None

    def _close_open(self) -> None:
        while self.ends:
            end = self.ends.pop()
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            end.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.ends.append(client)
            if self.listener is not listener:  # it was shut while this one came in
                self._close_open()
                return
            if self.mode == PASS:
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            client.close()
            return
        self.ends.append(server)
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def before(target: int) -> Iterator[Proxy]:
    """A proxy in front of a port of this machine."""
    proxy = Proxy(target, 0)
    proxy.set(PASS)
    try:
        yield proxy
    finally:
        proxy.close()
