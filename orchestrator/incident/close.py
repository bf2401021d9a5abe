"""Shut what gives out credentials, and open it again: what stood there is in the journal before it is changed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.journal import FILE, Tampered, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal, Line
    from orchestrator.incident.model import Close


def shut(ground: Ground, journal: Journal, closes: Sequence[Close]) -> Iterator[Close]:
    """Shut each, and see that it is; one that an earlier run shut keeps the undo that was recorded then."""
    recorded, others = standing(journal), _elsewhere(journal, Tampered)
    for close in closes:
        server = ground.inside(close.namespace).server
        before = server.read(close.path)
        if close.place not in recorded:
            _, theirs = others.get(close.place, ("", None))
            kept = theirs["before"] if theirs and _is_shut(close, before) else _kept(before, close)
            change = dict(close.change)
            journal.write(
                "closing", title=close.title, **_place(close), before=kept, change=change, lasts=close.lasting
            )
        if not _is_shut(close, before):
            server.write(close.to or close.path, {} if close.lasting else _body(close, before))
        if not _is_shut(close, server.read(close.path)):
            raise StrongroomError(
                f"{close.title} does not stay shut: {close.path} holds other settings than were written"
            )
        journal.write("closed", title=close.title, **_place(close))
        yield close


def _place(close: Close) -> dict[str, str]:
    namespace, path = close.place
    return {"namespace": namespace, "path": path, "read": close.path}


def _kept(before: Mapping[str, Json] | None, close: Close) -> dict[str, Json] | None:
    """What an undo writes back: all of it, or what the change touches; what was not said goes back to nothing."""
    if before is None:
        return None
    nothing = {name: type(value)() for name, value in close.change.items()}
    names = before.keys() - close.fixed if close.whole else {*close.change, *close.keeps}
    said = {name: before[name] for name in names if before.get(name) is not None}
    return _sent(close, {**nothing, **said})


def _body(close: Close, before: Mapping[str, Json] | None) -> dict[str, Json]:
    kept = (_kept(before, close) or {}) if close.whole else {}
    return {**kept, **_sent(close, close.change)}


def _sent(close: Close, values: Mapping[str, Json]) -> dict[str, Json]:
    """Values of an answer, as a request takes them."""
    return {name: close.sent[name](value) if name in close.sent else value for name, value in values.items()}


def _is_shut(close: Close, live: Mapping[str, Json] | None) -> bool:
    if live is not None and close.least:
        return all(int(live.get(name) or 0) >= value for name, value in close.change.items())
    return live is not None and all(_same(live.get(name), value) for name, value in close.change.items())


def _same(live: Json, wanted: Json) -> bool:
    """Servers say nothing, an empty text or an empty list for the same, and leave out the /32 of an address."""
    if isinstance(live, list) and isinstance(wanted, list):
        return [str(one).removesuffix("/32") for one in live] == [str(one).removesuffix("/32") for one in wanted]
    return (live or None) == (wanted or None)


def standing(journal: Journal) -> dict[tuple[str, str], Spec]:
    """What is shut and not opened again, by its place: what stood there."""
    return _standing(journal.lines)


def _standing(lines: Iterable[Line]) -> dict[tuple[str, str], Spec]:
    found: dict[tuple[str, str], Spec] = {}
    for line in lines:
        if line.what in {"reopened", "left shut"}:
            found.pop((line.data["namespace"], line.data["path"]), None)
        elif line.what == "closing":
            found.setdefault((line.data["namespace"], line.data["path"]), line.data)
    return found


def _elsewhere(journal: Journal, *damaged: type[Exception]) -> dict[tuple[str, str], tuple[str, Spec]]:
    """What other incidents of the same server hold shut: by which, and what stood there.

    A journal that is `damaged` so is passed over: to shut may not wait for it, to open has to.
    """
    found: dict[tuple[str, str], tuple[str, Spec]] = {}
    home = _cluster(journal.lines)
    for path in sorted(journal.path.parent.parent.glob(f"*/{FILE}")):
        with suppress(*damaged):
            lines = [] if path.resolve() == journal.path.resolve() else list(read(path))
            if lines and _cluster(lines) == home:
                standing_ = {place: one for place, one in _standing(lines).items() if not one["lasts"]}
                found |= {place: (path.parent.name, one) for place, one in standing_.items()}
    return found


def _cluster(lines: Iterable[Line]) -> Json:
    return next((line.data["cluster_id"] for line in lines if line.what == "agreed"), None)


def reopen(ground: Ground, journal: Journal, fits: Callable[[tuple[str, str]], bool] = lambda _: True) -> Iterator[str]:
    """Undo each shutting that is not undone yet and that fits by its namespace and path, the last one first.

    What another incident holds shut too is left to that one, which knows what stood there.
    """
    others = _elsewhere(journal)
    every = [one for one in standing(journal).items() if fits(one[0])]
    for (namespace, path), recorded in reversed(every):
        if recorded["lasts"]:
            continue
        if (namespace, path) in others:
            holder, _ = others[namespace, path]
            journal.write("left shut", title=recorded["title"], namespace=namespace, path=path, holder=holder)
            continue
        _open(ground, recorded)
        journal.write("reopened", title=recorded["title"], namespace=namespace, path=path)
        yield str(recorded["title"])


def _open(ground: Ground, recorded: Spec) -> None:
    server = ground.inside(recorded["namespace"]).server
    live, change = server.read(recorded["read"]), recorded.get("change") or {}
    if live is not None and change and not any(_same(live.get(name), value) for name, value in change.items()):
        return  # somebody opened it since, with other settings than it had
    if recorded["before"] is None:
        server.delete(recorded["path"])
    elif live is None:
        raise StrongroomError(f"{recorded['title']} is gone since it was shut: declare it anew, and apply")
    else:
        server.write(recorded["path"], recorded["before"])
