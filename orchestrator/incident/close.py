"""Shut what gives out credentials, and open it again: what stood there is in the journal before it is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.documents import Json, Spec
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.journal import Journal
    from orchestrator.incident.model import Close


def shut(ground: Ground, journal: Journal, closes: Sequence[Close]) -> Iterator[Close]:
    """Shut each, and see that it is; one that an earlier run shut keeps the undo that was recorded then."""
    recorded = standing(journal)
    for close in closes:
        server = ground.inside(close.namespace).server
        before = server.read(close.path)
        if close.place not in recorded:
            journal.write(
                "closing", title=close.title, **_place(close), before=_kept(before, close), lasts=close.lasting
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
    found: dict[tuple[str, str], Spec] = {}
    for line in journal.of("closing", "reopened"):
        place = line.data["namespace"], line.data["path"]
        if line.what == "reopened":
            found.pop(place, None)
        else:
            found.setdefault(place, line.data)
    return found


def reopen(ground: Ground, journal: Journal, fits: Callable[[tuple[str, str]], bool] = lambda _: True) -> Iterator[str]:
    """Undo each shutting that is not undone yet and that fits by its namespace and path, the last one first."""
    every = [one for one in standing(journal).items() if fits(one[0])]
    for (namespace, path), recorded in reversed(every):
        if recorded["lasts"]:
            continue
        _open(ground, recorded)
        journal.write("reopened", title=recorded["title"], namespace=namespace, path=path)
        yield str(recorded["title"])


def _open(ground: Ground, recorded: Spec) -> None:
    server = ground.inside(recorded["namespace"]).server
    if recorded["before"] is None:
        server.delete(recorded["path"])
    elif server.read(recorded["read"]) is None:
        raise StrongroomError(f"{recorded['title']} is gone since it was shut: declare it anew, and apply")
    else:
        server.write(recorded["path"], recorded["before"])
