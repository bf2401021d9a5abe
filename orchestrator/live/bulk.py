"""Many requests at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.live.session import Session

_AT_A_TIME = 16


class Ask(NamedTuple):
    """One request that may be sent again without harm."""

    method: str
    path: str
    body: Mapping[str, Json] | None = None
    namespace: str = ""


class Reply(NamedTuple):
    """An answer, whatever it says."""

    status: int
    content: Mapping[str, Json]


@dataclass(frozen=True)
class Line:
    """Where requests go, as whom, and how fast at most."""

    address: str
    token: str = field(repr=False)
    verify: bool | str = True
    patience: float = 60.0
    rate: float = 0


def line(session: Session, rate: float = 0) -> Line:
    return Line(session.address, session.token, session.place.verify, rate=rate)


def send(line: Line, asks: Iterable[Ask]) -> Iterator[tuple[Ask, Reply]]:
    """Each request with its answer, as they come."""
    with requests.Session() as session, ThreadPoolExecutor(_AT_A_TIME) as pool:
        session.trust_env = False
        session.verify = line.verify
        waiting = iter(asks)
        while some := list(islice(waiting, 512)):
            yield from zip(some, pool.map(lambda ask: _one(session, line, ask), some), strict=True)


def _one(session: requests.Session, line: Line, ask: Ask) -> Reply:
    method, query = ("GET", "?list=true") if ask.method == "LIST" else (ask.method, "")
    headers = {"X-Vault-Token": line.token, "X-Vault-Request": "true"}
    if ask.namespace:
        headers["X-Vault-Namespace"] = ask.namespace
    reply = session.request(method, f"{line.address}/v1/{ask.path}{query}", headers=headers, json=ask.body)
    return Reply(reply.status_code, reply.json() if reply.content else {})
