"""Very many requests at once: pipelined over a few connections, by one thread."""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import socket
import ssl
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from orchestrator import outcome
from orchestrator.documents import get
from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live import http1, replies, trust
from orchestrator.live.channel import DEPTH, Channel, connect
from orchestrator.live.jobs import FIRST_PAUSE, LONGEST_PAUSE, Jobs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from urllib.parse import SplitResult

    from orchestrator.documents import Json
    from orchestrator.live.jobs import Job
    from orchestrator.live.session import Session

CONNECTIONS = 64  # a node on Raft syncs to disk for many writes at once: 64 are half as fast again as 16
TAKEN = 2 * CONNECTIONS * DEPTH
_CONNECT = 5.0  # seconds
_UNSERVED = replies.TRANSIENT - {HTTPStatus.INTERNAL_SERVER_ERROR}
_READS = {"GET", "LIST"}


class Ask(NamedTuple):
    """One request that may be sent again without harm; the namespace is the full one, from the root."""

    method: str
    path: str
    body: Mapping[str, Json] | None = None
    namespace: str = ""

    def __repr__(self) -> str:
        return f"Ask({self.method} {self.path}{f' in {self.namespace}' if self.namespace else ''})"


class Reply(NamedTuple):
    """The JSON document of an answer, empty where there is none; it may hold secrets."""

    status: int
    content: Mapping[str, Json]

    def __repr__(self) -> str:
        return f"Reply({self.status})"

    @property
    def ok(self) -> bool:
        """Whether it was answered with what was asked for."""
        return self.status == HTTPStatus.OK

    @property
    def said(self) -> str:
        """What the server says where it does not answer, on one line."""
        errors = self.content.get("errors") or [get(dict(self.content), "data.error") or ""]
        said = " ".join("; ".join(str(one) for one in errors).split())
        return f"{said} (status {self.status})" if said else f"status {self.status}"

    @property
    def data(self) -> Mapping[str, Json]:
        """What the document holds, nothing where it holds none."""
        return self.content.get("data") or {}


@dataclass(frozen=True)
class Line:
    """Where to send and as whom; how long a lost or busy server is tried again; how many requests a second at most."""

    address: str
    token: str = field(repr=False)
    verify: bool | str = True
    patience: float = 60.0
    rate: float = 0
    called: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """What people call the server."""
        return self.called or self.address


def line(session: Session, rate: float = 0) -> Line:
    return Line(session.address, session.token, session.place.verify, rate=rate, called=session.place.name)


def send(line: Line, asks: Iterable[Ask]) -> Generator[tuple[Ask, Reply], None, None]:
    """Each ask with its answer, as they come; asks are taken as they can be sent, so they may not wait for an answer.

    An answer that another try could better is given after the line's patience; no answer at all is an error.
    """
    run = _Run(line, asks)
    try:
        yield from run.answers()
    finally:
        run.close()


class _Writer:
    """Asks as bytes."""

    def __init__(self, place: SplitResult, token: str) -> None:
        self._prefix = f"{place.path.rstrip('/')}/v1/"
        self._common = f"Host: {place.netloc}\r\nX-Vault-Request: true\r\n".encode()
        self._common += b"Content-Type: application/json\r\n" + _header("X-Vault-Token", token)
        self._headers = {"": self._common}

    def requests(self, asks: Iterable[Ask]) -> bytes:
        return b"".join([self._request(one) for one in asks])

    def _request(self, ask: Ask) -> bytes:
        method, query = ("GET", "?list=true") if ask.method == "LIST" else (ask.method, "")
        headers = self._headers.get(ask.namespace)
        if headers is None:
            headers = self._headers[ask.namespace] = self._common + _header("X-Vault-Namespace", ask.namespace)
        body = None if ask.body is None else json.dumps(ask.body).encode()
        return http1.request(method, f"{self._prefix}{quote(ask.path)}{query}", headers, body)


def _header(name: str, value: str) -> bytes:
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise StrongroomError(f"what {name} should carry holds a line break or the like; correct it")
    return f"{name}: {value}\r\n".encode()


class _Run:
    """The connections, and how patient we still are with the server."""

    def __init__(self, line: Line, asks: Iterable[Ask]) -> None:
        self.line, self.place = line, urlsplit(line.address)
        self.writer = _Writer(self.place, line.token)
        self.context = trust.context(line.verify) if self.place.scheme == "https" else None
        self.jobs = Jobs(asks, line.rate, TAKEN)
        self.channels: list[Channel[Job[Ask]]] = []
        self.selector = selectors.DefaultSelector()
        self.served = False
        self.progress = self.heard = time.monotonic()  # when it last did what was asked, and when it last said anything
        self.opening, self.pause = 0.0, FIRST_PAUSE

    def close(self) -> None:
        for one in self.channels:
            one.socket.close()
        self.selector.close()

    def answers(self) -> Iterator[tuple[Ask, Reply]]:
        while True:
            now = time.monotonic()
            for one in self.channels:
                self._fill(one, now)
            opened = self._open(now)
            if self.jobs.done:
                return
            silence = self._silence()
            events = self.selector.select(0 if opened else self._wait(now, silence))
            if not events and time.monotonic() > silence:
                raise self._unreachable(TimeoutError())
            for key, mask in events:
                yield from self._handle(key.data, mask)

    def _silence(self) -> float:
        """When to give up on replies that do not come."""
        return self.heard + self.line.patience if any(one.waiting for one in self.channels) else float("inf")

    def _wait(self, now: float, silence: float) -> float | None:
        """For how many seconds there may be nothing to do but to read."""
        wake = min(silence, self.jobs.wake(now), self.opening if self.opening >= now else silence)
        return None if wake == float("inf") else max(0.0, wake - time.monotonic())

    def _open(self, now: float) -> bool:
        """Whether it opened one more connection, for an ask that the others have no room for."""
        if len(self.channels) == CONNECTIONS or now < self.opening or not (jobs := self.jobs.take(1, now)):
            return False
        one = self._opened()
        if one is None:
            self.jobs.back(jobs)
        else:
            self._put(one, jobs)
        return one is not None

    def _fill(self, one: Channel[Job[Ask]], now: float) -> None:
        if one.room and (jobs := self.jobs.take(one.room, now)):
            self._put(one, jobs)

    def _put(self, one: Channel[Job[Ask]], jobs: list[Job[Ask]]) -> None:
        if not any(other.waiting for other in self.channels):
            self.heard = time.monotonic()
        one.send(jobs, self.writer.requests(job.ask for job in jobs))
        self._watch(one)

    def _watch(self, one: Channel[Job[Ask]]) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if one.outgoing else 0)
        if self.selector.get_key(one.socket).events != wanted:
            self.selector.modify(one.socket, wanted, one)

    def _opened(self) -> Channel[Job[Ask]] | None:
        """A new connection, None where there is none now."""
        try:
            one: Channel[Job[Ask]] = Channel(connect(self.place, self.context, _CONNECT))
        except OSError as error:
            failure = error
        else:
            self.channels.append(one)
            self.selector.register(one.socket, selectors.EVENT_READ, one)
            return one
        self._failed(failure)
        return None

    def _failed(self, error: OSError) -> None:
        """Pause before the next connection, if there is to be one."""
        now = time.monotonic()
        hopeless = isinstance(error, (ssl.SSLError, socket.gaierror)) and not self.served
        if hopeless or now + self.pause > self.progress + self.line.patience:
            raise self._unreachable(error)
        self.opening, self.pause = now + self.pause, min(2 * self.pause, LONGEST_PAUSE)

    def _unreachable(self, error: OSError) -> Unreachable:
        return Unreachable(replies.why_unreachable(self.line.name, error, type(error).__name__))

    def _handle(self, one: Channel[Job[Ask]], mask: int) -> Iterator[tuple[Ask, Reply]]:
        found = self._received(one, mask)
        if one.over:
            self._drop(one)
        else:
            self._fill(one, time.monotonic())  # the server works on while these are looked at
            self._watch(one)
        for job, raw in found:
            if (reply := self._judged(job, raw)) is not None:
                self.jobs.answered()
                began = time.monotonic()
                yield job.ask, reply
                spent = time.monotonic() - began  # whoever takes the answers may be slow: not the server's fault
                self.progress, self.heard = self.progress + spent, self.heard + spent
        if one.lost is not None and not one.parser.over:
            self._failed(one.lost)

    def _received(self, one: Channel[Job[Ask]], mask: int) -> list[tuple[Job[Ask], http1.Reply]]:
        if mask & selectors.EVENT_WRITE:
            one.flush()
        with contextlib.suppress(http1.Malformed):
            return one.receive()
        raise Unreachable(replies.not_a_vault(self.line.name))

    def _drop(self, one: Channel[Job[Ask]]) -> None:
        """Close it; what waited on it is sent again on another."""
        self.selector.unregister(one.socket)
        one.socket.close()
        self.channels.remove(one)
        self.jobs.back(one.waiting)

    def _judged(self, job: Job[Ask], raw: http1.Reply) -> Reply | None:
        """The answer, None when it is asked for again."""
        self.heard = time.monotonic()
        if raw.status >= HTTPStatus.MULTIPLE_CHOICES:
            said = replies.words(raw.body)
            self._check(raw, said)
            if self._may_pass(job.ask, raw.status, said):
                if self._postponed(job, raw):
                    return None
                return self._reply(raw)
        if raw.status not in _UNSERVED:
            self.progress, self.pause, self.served = self.heard, FIRST_PAUSE, True
        return self._reply(raw)

    def _check(self, raw: http1.Reply, said: str) -> None:
        """End here when this is not where the token belongs."""
        location = raw.headers.get("location", "")
        redirected = raw.status < HTTPStatus.BAD_REQUEST and not re.match("/(?!/)", location)
        if self.line.called and outcome.is_displaced(raw.status, said):
            return
        if redirected:
            raise Unreachable(replies.leads_elsewhere(self.line.name, location))
        if replies.wants_tls(said):
            raise Unreachable(replies.speaks_tls(self.line.name))

    def _may_pass(self, ask: Ask, status: int, said: str) -> bool:
        """Whether another try may do better: a server that served and now is sealed is being started again."""
        if self.line.called and outcome.is_displaced(status, said):
            return True
        if self.served and status == HTTPStatus.SERVICE_UNAVAILABLE and said.endswith("Vault is sealed"):
            return True
        if status == HTTPStatus.BAD_REQUEST and outcome.is_unclear(status, said):
            return True
        if status == HTTPStatus.INTERNAL_SERVER_ERROR and ask.method not in _READS:
            return outcome.is_unclear(status, said) or outcome.did_nothing(status, said)
        return replies.is_transient(status, said)

    def _postponed(self, job: Job[Ask], raw: http1.Reply) -> bool:
        """Whether there is patience left to ask again; an error of this one alone is not excused by others' success."""
        job.refused = job.refused or self.heard
        since = job.refused if raw.status == HTTPStatus.INTERNAL_SERVER_ERROR else self.progress
        wanted = raw.headers.get("retry-after", "")
        due = self.heard + max(job.pause, float(wanted) if wanted.isdecimal() else 0.0)
        if due > since + self.line.patience:
            return False
        job.pause = min(2 * job.pause, LONGEST_PAUSE)
        self.jobs.postpone(job, due)
        return True

    def _reply(self, raw: http1.Reply) -> Reply:
        content = replies.document(raw.body) if raw.body else {}
        wrong = content is None and (raw.status < HTTPStatus.MULTIPLE_CHOICES or raw.status == HTTPStatus.NOT_FOUND)
        if wrong:
            raise Unreachable(replies.not_a_vault(self.line.name))
        return Reply(raw.status, content or {})
