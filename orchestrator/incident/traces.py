"""What audit logs tell that the server does not: who asked from an address, and which orphans a token made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from orchestrator.audit.ask import Where, ask
from orchestrator.audit.hashes import devices, writer
from orchestrator.audit.paths import ReadersOf, SerialsOf
from orchestrator.audit.read import HASH
from orchestrator.audit.tokens import ByAddress, ChildrenOf
from orchestrator.errors import StrongroomError
from orchestrator.incident.model import Blast, Credential, Rule, Scope
from orchestrator.live.bulk import Ask, send
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.audit.read import Between
    from orchestrator.incident.ground import Ground

_ACCESSORS = "auth/token/accessors"
_READERS = 10
_ISSUING = ("issue/+", "sign/+", "issuer/+/issue/+", "issuer/+/sign/+")


def logs(ground: Ground, given: Sequence[Path], folder: Path | None) -> tuple[Path, ...]:
    """The audit logs at hand: those that were named, else those that the server writes and we may read."""
    for file in given:
        if not file.is_file():
            raise StrongroomError(f"--audit-log {file}: there is no such file")
    if given:
        return tuple(given)
    try:
        return tuple(one.file for one in devices(ground.server, folder) if one.readable and one.file)
    except (Denied, Rejected):
        return ()


def between(said: str) -> Between | None:
    """Two moments, as `2026-01-31T22:00Z/2026-02-01T04:00Z`; the second may be left out, for now."""
    if not said:
        return None
    first, _, last = said.partition("/")
    try:
        begin, end = _moment(first), _moment(last) if last else datetime.now(UTC)
    except ValueError as error:
        example = "2026-01-31T22:00Z/2026-02-01T04:00Z"
        raise StrongroomError(f"--between {said}: write two moments with their time zone, like {example}") from error
    if begin > end:
        raise StrongroomError(f"--between {said}: it ends before it begins")
    return begin, end


def _moment(said: str) -> datetime:
    found = datetime.fromisoformat(said.strip())
    if found.tzinfo is None:
        raise ValueError(said)
    return found


def client_address(ground: Ground, value: str) -> Scope:
    """The living tokens that were used from an address, or came out of a login there, with what they made."""
    question = ByAddress(value)
    files = _needed(ground, f"client address {value}")
    ask(files, [question], ground.between)
    family = ChildrenOf(set(question.seen))
    ask(files, [family])
    named = _living(ground, family.family, files)
    title = f"client address {value}"
    notes = [f"{title}: {len(question.nameless)} batch or dead tokens were used there, which nothing revokes"]
    return Scope(
        rules=(Rule(title, ground.namespace, lambda facts: facts.get("accessor") in named),),
        notes=tuple(notes) if question.nameless else (),
    )


def _needed(ground: Ground, what: str) -> tuple[Path, ...]:
    if not ground.logs:
        raise StrongroomError(f"{what}: there is no audit log at hand; name one with --audit-log FILE")
    return ground.logs


def _living(ground: Ground, logged: Collection[str], files: Iterable[Path]) -> frozenset[str]:
    """The accessors of living tokens that stand in the logs under these names."""
    if not logged:
        return frozenset()
    return frozenset(_matched(ground, ground.server.list(_ACCESSORS), logged, files))


def _matched(ground: Ground, accessors: Sequence[str], logged: Collection[str], files: Iterable[Path]) -> Iterator[str]:
    """Those whose hash, by the device that wrote a log, or whose clear text is among what was logged."""
    yield from (one for one in accessors if one in logged)
    if any(one.startswith(HASH) for one in logged):
        for device in _writers(ground, files):
            yield from (one for one, hashed in _hashed(ground, device, accessors) if hashed in logged)


def _writers(ground: Ground, files: Iterable[Path]) -> frozenset[str]:
    known = devices(ground.server)
    return frozenset(writer(ground.server, known, file).path for file in files)


def _hashed(ground: Ground, device: str, values: Iterable[str]) -> Iterator[tuple[str, str]]:
    asks = (Ask("POST", f"sys/audit-hash/{device}", {"input": one}) for one in values)
    for one, reply in send(ground.line, asks):
        if not reply.ok:
            raise StrongroomError(f"{one.path}: the server gives no hash (status {reply.status})")
        yield str((one.body or {})["input"]), str(reply.data["hash"])


def makers(ground: Ground, accessor: str, source: str) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """What makes the look for one token a look for the orphans that it made, where a log says that it made tokens."""
    if not ground.logs:
        return (), (
            f"{source}: orphans that it made outlive it, and only an audit log tells of them: --audit-log FILE",
        )
    try:
        names = set(_names(ground, [accessor]))
        family = ChildrenOf(names)
        ask(ground.logs, [family])
    except StrongroomError as error:
        return (), (f"{source}: orphans that it made outlive it, and no log could be asked about them: {error}",)
    rule = Rule(source, ground.namespace, lambda facts: facts.get("accessor") == accessor)
    return (rule,) if family.family - names else (), ()


def with_orphans(ground: Ground, found: Blast, cut: Iterable[Credential] = ()) -> Blast:
    """With the orphans that what was found, or cut before, made: a server forgets whose they are, its log does not."""
    tokens = [one for one in (*found.credentials, *cut) if one.what == "token"]
    made_by_tokens = (*found.orphans, *(found.children if cut else ()))  # children should be dead after the cut
    if not made_by_tokens or not tokens or not (found.orphans or ground.logs):
        return found
    if not ground.logs:
        note = "tokens without a parent are alive; whose they are only an audit log tells: --audit-log FILE"
        return replace(found, spared=(*found.spared, f"{len(found.orphans)} {note}"))
    names = _names(ground, [one.id for one in tokens])
    family = ChildrenOf(set(names))
    ask(ground.logs, [family])
    mine = set(_matched(ground, [one.id for one in made_by_tokens], family.family - set(names), ground.logs))
    made = (replace(one, source=f"orphans made by {tokens[0].source}") for one in made_by_tokens if one.id in mine)
    return replace(found, credentials=(*found.credentials, *made))


def _names(ground: Ground, accessors: Sequence[str]) -> Mapping[str, str]:
    """What a log may call each token, to its accessor."""
    devices_ = _writers(ground, ground.logs)
    hashes = chain.from_iterable(_hashed(ground, device, accessors) for device in devices_)
    return {**{one: one for one in accessors}, **{hashed: one for one, hashed in hashes}}


def readers(ground: Ground, path: str, said: str) -> Iterator[str]:
    """Who got what stands at an API path, by the audit logs: a sentence each, the one who asked most often first."""
    if not ground.logs:
        return
    question = ReadersOf(Where(path, ground.namespace))
    ask(ground.logs, [question], ground.between)
    found = sorted(question.readers.values(), key=lambda one: -one.seen.requests)
    for one in found[:_READERS]:
        seen, versions = one.seen, ", ".join(map(str, sorted(one.versions)))
        of = f" (version {versions})" if versions else ""
        yield (
            f"{said} was read {seen.requests} times{of} by {one.display_name or 'a token'} from "
            f"{', '.join(sorted(seen.addresses))}, the last time at {seen.last:%Y-%m-%d %H:%M:%S} UTC"
        )
    if len(found) > _READERS:
        yield f"{said} was read by {len(found) - _READERS} more tokens"


class Issued:
    """Whether a certificate came by the role it is told of, as the audit logs have it; None where they are silent."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._known: dict[
            tuple[str, str], dict[str, str]
        ] = {}  # by mount: serial number as logged to the path it came by

    def __call__(self, one: Credential) -> bool | None:
        mount, _, serial = one.id.partition(":")
        place = one.namespace, mount
        if place not in self._known:
            self._known[place] = self._asked(*place)
        known = self._known[place]
        path = next((known[name] for name in self._names(serial) if name in known), "") if known else ""
        return path.rpartition("/")[2] == one.source.rpartition("/")[2] if path else None

    @cached_property
    def _devices(self) -> frozenset[str]:
        return _writers(self._ground, self._ground.logs)

    def _asked(self, namespace: str, mount: str) -> dict[str, str]:
        """One pass over the logs for a mount."""
        question = SerialsOf(*(Where(f"{mount}/{way}", namespace) for way in _ISSUING))
        ask(self._ground.logs, [question])
        return {serial: issued.path for serial, issued in question.serials.items()}

    def _names(self, serial: str) -> Iterator[str]:
        """What a log may call a serial number."""
        yield serial
        for device in self._devices:
            yield from (hashed for _, hashed in _hashed(self._ground, device, [serial]))
