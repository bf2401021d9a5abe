"""Questions about paths: who read a secret, what a role issued, whom a login let in."""

from __future__ import annotations

import http
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.audit.ask import Seen, Where, Wraps
from orchestrator.audit.read import Entry, text
from orchestrator.documents import get

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from orchestrator.audit.ask import Watched

_READING = frozenset({"read"})


@dataclass
class Reader:
    """What one token read, and whose it is; the versions are those of a KV v2 secret that came out."""

    display_name: str
    entity_id: str
    seen: Seen = field(default_factory=Seen)
    versions: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Issued:
    """A certificate that somebody got; its serial number is as logged."""

    serial: str
    accessor: str
    namespace: str
    path: str
    remote_address: str
    at: datetime


@dataclass(frozen=True)
class Login:
    """An answered login; a refused one has no accessor and no token."""

    accessor: str
    token: str
    display_name: str
    entity_id: str
    metadata: Mapping[str, str]
    namespace: str
    path: str
    remote_address: str
    at: datetime

    @property
    def role(self) -> str:
        """The AppRole; other methods say theirs otherwise in the metadata."""
        return self.metadata.get("role_name", "")


class ReadersOf:
    """Who got something from these paths, by accessor, or by the hash of a token that has none.

    A refused request or one that found nothing is no reader. Of a wrapped answer, who asked for it is one, and where it
    was opened counts among the addresses.
    """

    def __init__(self, where: Where, operations: Collection[str] = _READING) -> None:
        self._where, self._operations = where, operations
        self.readers: dict[str, Reader] = {}
        self._wraps = Wraps[Reader]()
        self.marks, self.watched = (where.mark,), (self._wraps.tokens,)

    def sees(self, entry: Entry) -> None:
        if entry.kind != "response":
            return
        if (reader := self._wraps.opened(entry)) is not None:
            _take(reader, entry)
            reader.seen.addresses[entry.remote_address] += 1
        elif entry.operation in self._operations and self._where.holds(entry) and _gave(entry):
            reader = self.readers.setdefault(entry.accessor or entry.token, Reader(entry.display_name, entry.entity_id))
            reader.seen.count(entry)
            if not self._wraps.keep(entry, reader):
                _take(reader, entry)


class SerialsOf:
    """The serial numbers of the certificates that these paths gave out, as logged: `pki/issue/web`, `ssh/sign/web`.

    They are hashed unless the mount is tuned otherwise: hash the serial numbers that are known, and look them up here.
    """

    def __init__(self, *where: Where) -> None:
        self._where = where
        self.serials: dict[str, Issued] = {}
        self._wraps = Wraps[Entry]()
        self.marks, self.watched = tuple(one.mark for one in where), (self._wraps.tokens,)

    def sees(self, entry: Entry) -> None:
        asked = self._wraps.opened(entry)
        if asked is None and not any(one.holds(entry) for one in self._where):
            return
        if serial := text(entry.raw, "response.data.serial_number"):
            self.serials[serial] = _issued(serial, asked or entry)
        else:
            self._wraps.keep(entry, entry)


class UsedSecretIds:
    """The logins with these SecretIDs, named as logged by their accessors or by themselves.

    An accessor leads to its SecretID by the answer that gave both out, so that answer must be in the log.
    """

    marks: tuple[str, ...] = ()

    def __init__(self, names: Collection[str]) -> None:
        self._names = set(names)
        self.watched: Watched = (self._names,)
        self.logins: list[Login] = []

    def sees(self, entry: Entry) -> None:
        given = text(entry.raw, "response.data.secret_id")
        if given and text(entry.raw, "response.data.secret_id_accessor") in self._names:
            self._names.add(given)
        if entry.kind == "response" and text(entry.raw, "request.data.secret_id") in self._names and _is_login(entry):
            self.logins.append(_login(entry))


class LoginsAt:
    """All answered logins at these paths."""

    watched: Watched = ()

    def __init__(self, where: Where) -> None:
        self._where = where
        self.marks = (where.mark,)
        self.logins: list[Login] = []

    def sees(self, entry: Entry) -> None:
        if entry.kind == "response" and self._where.holds(entry):
            self.logins.append(_login(entry))


def _gave(entry: Entry) -> bool:
    """Whether an answer held anything; of a deleted version it says only that it is 404, and that as data."""
    answer = get(entry.raw, "response") or {}
    status = (answer.get("data") or {}).get("http_status_code")
    return (
        not entry.error and bool(answer.get("data") or answer.get("wrap_info")) and status != http.HTTPStatus.NOT_FOUND
    )


def _take(reader: Reader, entry: Entry) -> None:
    """Note the version that came out, which the log has in clear in the answer (in the request it is hashed)."""
    about = get(entry.raw, "response.data.metadata")
    if isinstance(about, dict) and "created_time" in about and isinstance(about.get("version"), int):
        reader.versions.add(about["version"])


def _issued(serial: str, entry: Entry) -> Issued:
    return Issued(serial, entry.accessor or entry.token, entry.namespace, entry.path, entry.remote_address, entry.at)


def _is_login(entry: Entry) -> bool:
    return entry.path.endswith("/login")


def _login(entry: Entry) -> Login:
    return Login(
        accessor=entry.accessor,
        token=entry.token,
        display_name=entry.display_name,
        entity_id=entry.entity_id,
        metadata=get(entry.raw, "auth.metadata") or {},
        namespace=entry.namespace,
        path=entry.path,
        remote_address=entry.remote_address,
        at=entry.at,
    )
