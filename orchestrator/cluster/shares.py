"""Shares of a key, as people give them: from stdin, a file or a prompt; handed to sealed nodes, and never told."""

from __future__ import annotations

import base64
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from getpass import GetPassWarning, getpass
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cluster import nodes
from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live import probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.cluster.nodes import Seen
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json
    from orchestrator.live.probe import Said

FLAG = "--keys"
_WAYS = "write `-` for stdin, `file:PATH`, or `prompt`"
_TRIES = 200
_SLOW = 30.0  # a server that asks its KMS is not quick
BAD_REQUEST = 400
_LEAST = 16
_SHUT = "it took enough of them, but it did not open; its log says why"


@dataclass(frozen=True)
class Share:
    """One share, and where it was given, which is all that may be told of it."""

    where: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Opened:
    """How a node stands after shares were handed to it."""

    node: str
    sealed: bool
    progress: int
    threshold: int
    wrong: tuple[str, ...] = ()  # where the shares stood that are none of this key
    why: str = ""  # what the server said when they did not fit


def given(ways: Iterable[str]) -> tuple[Share, ...]:
    """The shares that the ways lead to, one a line; each once."""
    found = {share.value: share for way in reversed(tuple(ways)) for share in reversed(_given(way))}
    return tuple(reversed(found.values()))


def lying(place: Path, what: str) -> tuple[Share, ...]:
    """The shares that lie unencrypted beside a cluster of ours."""
    return tuple(Share(path.name, path.read_text().strip()) for path in sorted(place.glob(f"{what}-*.key")))


def _given(way: str) -> list[Share]:
    if way == "prompt":
        return list(_typed())
    lines = [line.strip() for line in _text(way).splitlines()]
    name = "stdin" if way == "-" else way.removeprefix("file:")
    found = [_share(f"{name}, line {number}", line) for number, line in enumerate(lines, 1) if line]
    if not found:
        raise StrongroomError(f"{FLAG} {way}: there is nothing in it")
    return found


def _share(where: str, value: str) -> Share:
    """A share, as a server would take it; what is none is told before anything is sent."""
    if not any(len(found) >= _LEAST for found in _bytes(value)):
        raise StrongroomError(f"{where}: this is no share of a key, which is hex or base64 of {_LEAST} bytes or more")
    return Share(where, value)


def _bytes(value: str) -> Iterator[bytes]:
    for read in (bytes.fromhex, partial(base64.b64decode, validate=True)):
        with suppress(ValueError):
            yield read(value)


def _text(way: str) -> str:
    if way == "-":
        if sys.stdin is None:
            raise StrongroomError(f"{FLAG} -: stdin is closed")
        return sys.stdin.read()
    if not way.startswith("file:"):
        raise StrongroomError(
            f"{FLAG}: a share is never an argument, where every process of this machine sees it; {_WAYS}"
        )
    try:
        return Path(way.removeprefix("file:")).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:  # the latter holds the bytes, so nothing is chained to it
        why = error.strerror if isinstance(error, OSError) else "not a UTF-8 text"
    raise StrongroomError(f"{FLAG} {way}: {why}")


def _typed() -> Iterator[Share]:
    """What a person types, which nobody sees; an empty line ends it."""
    number = 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)
            while value := getpass(f"share {number} (empty when there is no more): ", sys.stderr).strip():
                yield _share(f"typed share {number}", value)
                number += 1
    except (EOFError, GetPassWarning) as error:
        raise StrongroomError(f"{FLAG} prompt: there is no terminal to type it on") from error


def hand(
    cluster: Cluster, node: Node, shares: Sequence[Share], seconds: float = 60.0, *, migrate: bool = False
) -> Opened:
    """Give a sealed node shares until it is open; what others gave it before counts, unless it does not fit.

    With `migrate` they are those of the seal that is left, for a node that knows both.
    """
    seen = _joined(cluster, node, seconds)
    threshold, progress = (int(seen.seal.document.get(name) or 0) for name in ("t", "progress"))
    if not seen.sealed:
        return Opened(node.name, sealed=False, progress=0, threshold=threshold)
    failed: list[tuple[Share, ...]] = []
    why = ""
    for tried in islice(_rounds(shares, threshold, progress), _TRIES):
        said = _submit(cluster, node, tried, {"migrate": True} if migrate else {})
        if said.ok:
            progress = int(said.document.get("progress") or 0)
            sealed = bool(said.document.get("sealed")) and (progress > 0 or not _opens(cluster, node))
            wrong = () if sealed else _wrong(failed, tried)
            return Opened(node.name, sealed, progress, threshold, wrong, "" if progress else why or _SHUT)
        failed.append(tried)
        why, progress = said.words, 0  # the server forgets all of them
    return Opened(node.name, sealed=True, progress=progress, threshold=threshold, why=why)


def _joined(cluster: Cluster, node: Node, seconds: float) -> Seen:
    """A follower takes shares only once it has joined."""

    def of(seen: Sequence[Seen]) -> Seen:
        return next(one for one in seen if one.node.name == node.name)

    return of(nodes.wait(cluster, f"{node.name} can be unsealed", lambda seen: of(seen).initialised, seconds))


def _opens(cluster: Cluster, node: Node) -> bool:
    """Whether a node that took enough shares is open soon: one that joins has to show them to the leader first."""
    deadline = time.monotonic() + _SLOW
    while (seen := nodes.see(cluster, node)).sealed or not seen.answers:
        if time.monotonic() > deadline:
            return False
        time.sleep(nodes.PAUSE)
    return True


def _rounds(shares: Sequence[Share], threshold: int, progress: int) -> Iterator[tuple[Share, ...]]:
    """What to hand over in one go: on top of what is there, and then every choice of ours that could be enough."""
    if shares and (progress or len(shares) < threshold):
        yield tuple(shares)
    if len(shares) >= threshold:
        yield from combinations(shares, threshold)


def _submit(cluster: Cluster, node: Node, shares: Sequence[Share], more: Mapping[str, Json]) -> Said:
    """What the node says to the last share that it takes: it is open, needs more, or they do not fit."""
    url, ca = cluster.url(node), nodes.trusted(cluster)
    for share in shares:
        body: dict[str, Json] = {"key": share.value, **more}
        said = probe.ask(url, "sys/unseal", ca=ca, method="PUT", body=body, seconds=_SLOW)
        if not said.ok and said.status != BAD_REQUEST:
            raise Unreachable(f"{node.name}: sys/unseal is not answered: {said.words}")
        if not said.ok or not said.document.get("sealed"):
            break
    return said


def _wrong(failed: Sequence[Sequence[Share]], opened: Sequence[Share]) -> tuple[str, ...]:
    """The shares that alone stood between others that fit and an open node."""
    alien = [[share.where for share in tried if share not in opened] for tried in failed]
    return tuple(dict.fromkeys(found[0] for found in alien if len(found) == 1))
