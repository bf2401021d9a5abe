"""Which node leads now: asked of every node itself, more often while none does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from orchestrator.live import http1

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from orchestrator.declared import Node

SEARCHING, LEADING, FOLLOWING = 0.02, 0.25, 1.0  # seconds between two questions to one node
_ANSWERS = 1.0  # seconds; a leader that hangs is none
_PIECE = 1 << 16


class Leader:
    """The leader of some nodes, in one event loop; `found` is called whenever it is another one than before."""

    def __init__(self, leader: Node | None, context: ssl.SSLContext | None, found: Callable[[Node], None]) -> None:
        self.now = leader
        self._last = leader
        self._since = time.monotonic()
        self._context, self._found = context, found
        self._search = asyncio.Event()  # set while there is none
        self._there = asyncio.Event()
        (self._there if leader else self._search).set()

    async def watch(self, nodes: Sequence[Node]) -> None:
        """Ask on, until it is cancelled."""
        await asyncio.gather(*map(self._watch, nodes))

    async def known(self) -> Node:
        """The leader, once there is one."""
        while self.now is None:
            await self._there.wait()
        return self.now

    def patience(self, seconds: float, least: float) -> float:
        """How long of so many seconds a leader may still be waited for, if there has been none for a while."""
        missed = 0.0 if self.now else time.monotonic() - self._since
        return max(seconds - missed, least)

    def doubt(self, node: Node) -> None:
        """Something of it failed: find out whether it leads still."""
        if self.now is node:
            self.now = None
            self._since = time.monotonic()
            self._there.clear()
            self._search.set()

    async def _watch(self, node: Node) -> None:
        line = _Line(node, self._context)
        try:
            while True:
                await self._pause(node)
                self._note(node, leads=await line.leads())
        finally:
            line.close()

    async def _pause(self, node: Node) -> None:
        if self.now is None:
            await asyncio.sleep(SEARCHING)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._search.wait(), LEADING if self.now is node else FOLLOWING)

    def _note(self, node: Node, *, leads: bool) -> None:
        if not leads:
            self.doubt(node)
        elif self.now is None:
            self.now = node
            self._search.clear()
            self._there.set()
            if self._last is not node:
                self._last = node
                self._found(node)


class _Line:
    """One connection to one node, opened when it is needed."""

    def __init__(self, node: Node, context: ssl.SSLContext | None) -> None:
        self._node, self._context = node, context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._request = f"GET /v1/sys/health HTTP/1.1\r\nHost: {node.host_port}\r\n\r\n".encode()

    async def leads(self) -> bool:
        try:
            async with asyncio.timeout(_ANSWERS):
                return await self._status() == HTTPStatus.OK
        except (OSError, http1.Malformed, EOFError):
            self.close()
            return False

    async def _status(self) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._node.host, self._node.port, ssl=self._context)
        reader, writer = self._streams
        writer.write(self._request)
        parser, found = http1.Parser(), list[http1.Reply]()
        while not found:
            data = await reader.read(_PIECE)
            if not data:
                raise EOFError
            found = parser.feed(data)
        if found[0].last:
            self.close()
        return found[0].status

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
