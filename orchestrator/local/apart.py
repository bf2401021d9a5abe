"""A network of one's own: what is started inside reaches nobody outside, but for named ports of this machine.

Linux only, and only for who may make network namespaces. The namespace is one thread's, and of what that starts.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import queue
import socket
import struct
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NEW_NETWORK = 0x40000000
_MINE = "/proc/thread-self/ns/net"
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_REQUEST = "16sh14x"  # struct ifreq, as far as its flags
_HOST = "127.0.0.1"
_PIECE = 1 << 16

Given = queue.SimpleQueue[socket.socket]


def possible() -> bool:
    """Whether we may have a network of our own here."""
    answers: list[bool] = []

    def attempt() -> None:  # in a thread that ends, and its network with it
        answers.append(_call("unshare", _NEW_NETWORK) == 0)

    if not sys.platform.startswith("linux"):
        return False
    trying = threading.Thread(target=attempt)
    trying.start()
    trying.join()
    return answers == [True]


@contextmanager
def apart(ports: Sequence[int]) -> Iterator[None]:
    """Until the end of the block, this thread and what it starts have nothing but a loopback, and these ports on it."""
    doors = {port: _door(port) for port in ports}  # their threads begin, and stay, outside
    home = os.open(_MINE, os.O_RDONLY)
    listeners: list[socket.socket] = []
    try:
        if _call("unshare", _NEW_NETWORK) != 0:
            raise StrongroomError(f"no network of its own for the drill: {os.strerror(ctypes.get_errno())}")
        _raise_loopback()
        for port, door in doors.items():
            listeners.append(socket.create_server((_HOST, port)))
            door.put(listeners[-1])
        yield
    finally:
        for listener in listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        failed = _call("setns", home, _NEW_NETWORK)
        os.close(home)
        if failed:
            raise StrongroomError(f"cannot come back from the drill's network: {os.strerror(ctypes.get_errno())}")


def _call(name: str, *arguments: int) -> int:
    return int(getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments))


def _raise_loopback() -> None:
    with socket.socket() as any_:
        asked = struct.pack(_REQUEST, b"lo", 0)
        _, flags = struct.unpack(_REQUEST, fcntl.ioctl(any_, _GET_FLAGS, asked))
        fcntl.ioctl(any_, _SET_FLAGS, struct.pack(_REQUEST, b"lo", flags | _UP))


def _door(port: int) -> Given:
    """Whoever connects to the listener that it is given is connected to this port outside."""
    given: Given = queue.SimpleQueue()
    threading.Thread(target=_serve, args=(given, port), daemon=True).start()
    return given


def _serve(given: Given, port: int) -> None:
    listener = given.get()
    with suppress(OSError):  # it was closed
        while True:
            inner, _ = listener.accept()
            try:
                outer = socket.create_connection((_HOST, port))
            except OSError:
                inner.close()
                continue
            threading.Thread(target=_carry, args=(inner, outer), daemon=True).start()


def _carry(inner: socket.socket, outer: socket.socket) -> None:
    """Both ways, until both ends have said all."""
    with inner, outer:
        back = threading.Thread(target=_pump, args=(outer, inner), daemon=True)
        back.start()
        _pump(inner, outer)
        back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(_PIECE):
            other.sendall(piece)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
