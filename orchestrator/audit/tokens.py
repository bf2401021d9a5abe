"""Questions about tokens. They are named as logged: by their accessors, batch tokens by their own hashes."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.audit.ask import EVERY_LINE, Seen, Wraps, bearer, is_asked
from orchestrator.audit.read import HASH, text
from orchestrator.documents import get
from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from pathlib import Path

    from orchestrator.audit.ask import Watched
    from orchestrator.audit.read import Entry

_CREATE = "auth/token/create"
_HASHING = "sys/audit-hash/"  # whoever looks for a token in the log leaves its hash there
_RENEWALS = ("sys/leases/renew", "sys/renew")  # they name a lease that another request made


@dataclass(frozen=True)
class Line:
    """A line as evidence: what a token did, or (`by` is false) what was done about it."""

    accessor: str
    by: bool
    file: Path
    number: int
    at: datetime
    kind: str
    operation: str
    namespace: str
    path: str
    remote_address: str
    error: str


@dataclass(frozen=True)
class Child:
    """A token that another one made; a batch token has no accessor, only the hash of itself."""

    accessor: str
    token: str
    type: str
    namespace: str
    path: str
    at: datetime


@dataclass(frozen=True, order=True)
class Lease:
    """A lease and the namespace that it must be revoked in."""

    namespace: str
    lease_id: str


class ByAddress:
    """The tokens that were used from an address or a network, or came out of a login there.

    `seen` has them by accessor, `nameless` those that no accessor goes with (batch tokens, dead ones) by their hashes.
    """

    watched: Watched = ()

    def __init__(self, address: str) -> None:
        try:
            self._network = ipaddress.ip_network(address, strict=False)
        except ValueError as error:
            raise StrongroomError(
                f"{address!r} is neither an address nor a network; write 10.1.2.3 or 10.1.0.0/16"
            ) from error
        self._is_inside = cache(self._inside)
        self.marks = self._marks()
        self.seen: defaultdict[str, Seen] = defaultdict(Seen)
        self.nameless: defaultdict[str, Seen] = defaultdict(Seen)

    def sees(self, entry: Entry) -> None:
        if not is_asked(entry) or not self._is_inside(entry.remote_address):
            return
        if entry.accessor:
            self.seen[entry.accessor].count(entry)
        elif entry.token:
            self.nameless[entry.token].count(entry)

    def _inside(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in self._network
        except ValueError:  # a unix socket has none
            return False

    def _marks(self) -> tuple[str, ...]:
        """The octets that all addresses of the network begin with."""
        if isinstance(self._network, ipaddress.IPv6Network):
            return EVERY_LINE
        octets = str(self._network.network_address).split(".")[: self._network.prefixlen // 8]
        end = '"' if len(octets) == 4 else "." * bool(octets)  # noqa: PLR2004 - all of them
        return (f'"remote_address":"{".".join(octets)}{end}',)


class OfTokens:
    """Every line of these tokens, and about them; after its death a token is known by its own hash, learned before."""

    marks: tuple[str, ...] = ()

    def __init__(self, accessors: Collection[str], keep: Callable[[Line], None]) -> None:
        self._names = {name: name for name in accessors}
        self.watched: Watched = (self._names.keys(),)
        self._keep = keep

    def sees(self, entry: Entry) -> None:
        if name := bearer(entry, self._names):
            if entry.token:
                self._names.setdefault(entry.token, self._names[name])
            self._keep(_line(self._names[name], entry, by=True))
            return
        for name in () if entry.path.startswith(_HASHING) else _named(entry):
            if name in self._names:
                self._keep(_line(self._names[name], entry, by=False))
                return


class ChildrenOf:
    """The tokens that these made, and those that their children made: the children by their parent.

    `family` are all of them and grows as the log is read; a later question of the same pass may ask about it.
    """

    marks: tuple[str, ...] = ()

    def __init__(self, accessors: Collection[str]) -> None:
        self.family = set(accessors)
        self.watched: Watched = (self.family,)
        self.children: defaultdict[str, list[Child]] = defaultdict(list)

    def sees(self, entry: Entry) -> None:
        if entry.kind != "response" or not _creates(entry.path):
            return
        parent, child = bearer(entry, self.family), _child(entry)
        if parent and (child.accessor or child.token):
            self.children[parent].append(child)
            self.family.add(child.accessor or child.token)


class LeasesOf:
    """The leases that these tokens made, or whose wrapping they opened; one that was never opened is not known.

    Renewing a lease is not making it. Given the `family` of a `ChildrenOf` before it, it follows the children too.
    """

    marks: tuple[str, ...] = ()

    def __init__(self, accessors: set[str]) -> None:
        self.leases: defaultdict[str, set[Lease]] = defaultdict(set)
        self._accessors, self._wraps = accessors, Wraps[str]()
        self.watched: Watched = (accessors, self._wraps.tokens)

    def sees(self, entry: Entry) -> None:
        maker = self._wraps.opened(entry) or bearer(entry, self._accessors)
        if not maker or entry.kind != "response" or entry.path.startswith(_RENEWALS):
            return
        if entry.lease_id:
            self.leases[maker].add(Lease(entry.namespace, entry.lease_id))
        else:
            self._wraps.keep(entry, maker)


def _creates(path: str) -> bool:
    return path in {_CREATE, f"{_CREATE}-orphan"} or path.startswith(f"{_CREATE}/")


def _child(entry: Entry) -> Child:
    accessor = text(entry.raw, "response.auth.accessor") or text(entry.raw, "response.wrap_info.wrapped_accessor")
    token = text(entry.raw, "response.auth.client_token")
    return Child(
        accessor=accessor,
        token=token if token.startswith(HASH) else "",
        type=text(entry.raw, "response.auth.token_type"),
        namespace=entry.namespace,
        path=entry.path,
        at=entry.at,
    )


def _named(entry: Entry) -> list[str]:
    """What a line speaks of: the strings that its request carries, and the token that its answer hands out."""
    sent = (get(entry.raw, "request.data") or {}).values()
    made = (get(entry.raw, "response.auth.accessor"), get(entry.raw, "response.wrap_info.wrapped_accessor"))
    return [value for value in (*sent, *made) if isinstance(value, str)]


def _line(accessor: str, entry: Entry, *, by: bool) -> Line:
    return Line(
        accessor=accessor,
        by=by,
        file=entry.file,
        number=entry.number,
        at=entry.at,
        kind=entry.kind,
        operation=entry.operation,
        namespace=entry.namespace,
        path=entry.path,
        remote_address=entry.remote_address,
        error=entry.error,
    )
