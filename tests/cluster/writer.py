"""Somebody who writes all the time, through whichever node leads, and remembers what was acknowledged."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.cluster import lead, nodes
from orchestrator.live import trust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Cluster
    from orchestrator.live.server import Server
    from tests.cluster.house import House

PAUSE = 0.005
PATIENCE = 2.0  # of one write: a node that hangs is left for another


@dataclass
class Writer:
    """Numbered entries, each with a value that nobody could guess."""

    cluster: Cluster
    token: str = field(repr=False)
    mount: str = field(default_factory=lambda: f"written-{secrets.token_hex(4)}")
    acknowledged: dict[int, str] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)  # when each was acknowledged
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(30)

    def wait_for(self, more: int = 20, seconds: float = 60.0) -> float:
        """When the last of so many further writes was acknowledged."""
        wanted, deadline = len(self.times) + more, time.monotonic() + seconds
        while len(self.times) < wanted:
            assert time.monotonic() < deadline, f"no {more} writes within {seconds} s: {self.failures[-3:]}"
            self._over.wait(0.01)
        return self.times[wanted - 1]

    @property
    def longest_gap(self) -> float:
        """The longest time without an acknowledged write."""
        return max(self.gaps(), default=0.0)

    def gaps(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """The times between one acknowledged write and the next, of those that ended in this span."""
        pairs = zip(self.times, self.times[1:], strict=False)
        return [after - before for before, after in pairs if since <= after <= until]

    def lost(self) -> list[int]:
        """The acknowledged writes that cannot be read back."""

        def read(server: Server) -> list[int]:
            there = {int(name) for name in server.list(f"{self.mount}/")}
            return [
                number
                for number, value in sorted(self.acknowledged.items())
                if number not in there or (server.read(f"{self.mount}/{number}") or {}).get("value") != value
            ]

        return lead.at_leader(self.cluster, self.token, read)

    def _work(self) -> None:
        connection: http.client.HTTPConnection | None = None
        number = 0
        while not self._over.is_set():
            connection = connection or self._connected()
            if connection is None:
                self._over.wait(PAUSE)
                continue
            number += 1
            value = secrets.token_hex(8)
            try:
                status = self._write(connection, number, value)
            except (OSError, http.client.HTTPException) as error:
                status = 0
                self.failures.append(f"{number}: {type(error).__name__}")
            if 200 <= status < 300:
                self.acknowledged[number] = value
                self.times.append(time.monotonic())
                self._over.wait(PAUSE)
                continue
            if status:
                self.failures.append(f"{number}: {status}")
            connection.close()
            connection = None
        if connection is not None:
            connection.close()

    def _connected(self) -> http.client.HTTPConnection | None:
        leader = nodes.leader(nodes.look(self.cluster, PATIENCE))
        if leader is None:
            return None
        parts = urlsplit(leader.url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        context = trust.context(nodes.trusted(self.cluster))
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=PATIENCE, context=context)

    def _write(self, connection: http.client.HTTPConnection, number: int, value: str) -> int:
        headers = {"X-Vault-Request": "true", "X-Vault-Token": self.token}
        connection.request("PUT", f"/v1/{self.mount}/{number}", json.dumps({"value": value}), headers)
        reply = connection.getresponse()
        reply.read()
        return reply.status


@contextmanager
def writing(house: House) -> Iterator[Writer]:
    """A writer at work, with a mount and a token of its own."""

    def prepared(server: Server) -> str:
        mounts = server.read("sys/mounts") or {}
        if f"{writer.mount}/" not in mounts:
            server.write(f"sys/mounts/{writer.mount}", {"type": "kv"})
        return str(server.write("auth/token/create-orphan", {"policies": ["strongroom"], "ttl": "1h"})["client_token"])

    writer = Writer(house.cluster, "")
    with lead.session(house.root, house.declared, house.environ) as led:
        writer.token = led.do(prepared)
    writer.start()
    try:
        writer.wait_for(1)
        yield writer
    finally:
        writer.stop()
