"""A door on this machine that leads to whichever node leads; what goes through it is not opened, so TLS stays whole."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, cast

from orchestrator.live import trust
from orchestrator.live.leader import Leader

if TYPE_CHECKING:
    from orchestrator.declared import Cluster, Node

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds without a leader after which a connection no longer waits for one
_LEAST = 0.5
_CONNECTS = 2.0
_QUIET = 0.05  # after an answer of a node that no longer leads
_UNANSWERED = 3.0  # a node that no longer leads may have hung with the request
_HELLO = 1 << 14  # what a client says before it is answered: the beginning of TLS
_TLS = 0x16


class Front:
    """The door and the thread that keeps it, until it is closed."""

    def __init__(self, cluster: Cluster, leader: Node) -> None:
        self._cluster, self._leader = cluster, leader
        self._ready: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._keep, name=f"front of {cluster.name}", daemon=True)
        self._thread.start()
        port, self._loop, self._done = self._ready.result()
        self.address = f"{cluster.scheme}://{HOST}:{port}"

    def close(self) -> None:
        """Shut it; what still goes through is cut."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join()

    def _keep(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            raise

    async def _serve(self) -> None:
        hall = _Hall(self._cluster, self._leader)
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(lambda: _Guest(hall), HOST, 0)
        watching = loop.create_task(hall.leader.watch(self._cluster.nodes))
        self._ready.set_result((server.sockets[0].getsockname()[1], loop, done))
        await done.wait()
        server.close()
        watching.cancel()
        hall.empty()
        await asyncio.gather(watching, *hall.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted connections are closed in the next turn


class _Hall:
    """All that goes through the door."""

    def __init__(self, cluster: Cluster, leader: Node) -> None:
        context = trust.context(cluster.ca_cert or True) if cluster.scheme == "https" else None
        self.loop = asyncio.get_running_loop()
        self.leader = Leader(leader, context, self._moved)
        self.guests: set[_Guest] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def empty(self) -> None:
        for task in self.tasks:
            task.cancel()
        for guest in list(self.guests):
            guest.leave()

    def begin(self, guest: _Guest) -> None:
        self._task(self._lead(guest))

    def _moved(self, leader: Node) -> None:
        self._task(self._send_on(leader, time.monotonic()))

    def _task(self, work: asyncio._CoroutineLike[None]) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _lead(self, guest: _Guest) -> None:
        """Bring a connection to the leader: it waits for one as long as that is worth it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.leader.patience(PATIENCE, _LEAST)):
                while guest in self.guests and not await self._connected(guest, await self.leader.known()):
                    pass
                return
        guest.leave()

    async def _connected(self, guest: _Guest, node: Node) -> bool:
        try:
            async with asyncio.timeout(_CONNECTS):
                await self.loop.create_connection(lambda: _Host(guest, node), node.host, node.port)
        except OSError:
            self.leader.doubt(node)
            return False
        return True

    async def _send_on(self, leader: Node, since: float) -> None:
        """Whoever stands before a node that no longer leads is to come again, but not in the middle of an answer."""
        while self.leader.now in {leader, None} and (
            lost := [one for one in self.guests if one.host and one.host.node is not leader]
        ):
            for guest in lost:
                guest.send_on(since)
            await asyncio.sleep(_QUIET)


class _Side(asyncio.Protocol):
    """One end of what goes through; when it cannot take more, the other one is not read."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def other(self) -> _Side | None:
        raise NotImplementedError

    def pause_writing(self) -> None:
        if other := self.other():
            other.transport.pause_reading()

    def resume_writing(self) -> None:
        if other := self.other():
            other.transport.resume_reading()


class _Guest(_Side):
    """Whoever came through the door."""

    def __init__(self, hall: _Hall) -> None:
        self.hall = hall
        self.host: _Host | None = None
        self.said: bytes | None = b""  # what it said as long as nobody answered
        self.asked = self.ended = False
        self.at = 0.0

    def other(self) -> _Side | None:
        return self.host

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self.hall.guests.add(self)
        self.hall.begin(self)

    def data_received(self, data: bytes) -> None:
        self.asked, self.at = True, time.monotonic()
        if self.said is not None:
            self.said += data
            if self.said[0] != _TLS or len(self.said) > _HELLO:
                self.said = None
        if self.host is not None:
            self.host.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.host is not None:
            self.host.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's word
        self.hall.guests.discard(self)
        if self.host is not None:
            self.host.transport.abort()

    def met(self, host: _Host) -> None:
        self.host, self.at = host, time.monotonic()
        if self.said:
            host.transport.write(self.said)
        self.transport.resume_reading()

    def told(self, data: bytes) -> None:
        self.said, self.asked, self.at = None, False, time.monotonic()
        self.transport.write(data)

    def lost(self, host: _Host) -> None:
        """Its host is gone: nobody else can go on with what was begun, but with what was not, another one can."""
        if self.host is not host:
            return
        self.host = None
        if self not in self.hall.guests:
            return
        if not self.ended:
            self.hall.leader.doubt(host.node)
        if self.said is None or self.ended:
            self.transport.close()
        else:
            self.transport.pause_reading()
            self.hall.begin(self)

    def send_on(self, since: float) -> None:
        quiet = time.monotonic() - max(self.at, since)
        if self.host is not None and self.said is not None:
            self.host.transport.abort()
        elif quiet > _UNANSWERED:
            self.leave()
        elif not self.asked and time.monotonic() - self.at > _QUIET:
            self.transport.close()

    def leave(self) -> None:
        self.transport.abort()


class _Host(_Side):
    """The node that a guest was led to."""

    def __init__(self, guest: _Guest, node: Node) -> None:
        self.guest, self.node = guest, node

    def other(self) -> _Side | None:
        return self.guest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.guest in self.guest.hall.guests:
            self.guest.met(self)
        else:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.guest.told(data)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's word
        self.guest.lost(self)
