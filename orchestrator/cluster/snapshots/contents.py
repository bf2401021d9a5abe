"""What is in a cluster, by name and number alone: enough to tell whether a restore brought it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.live.server import Denied, Rejected
from orchestrator.live.wire import NO_SUCH_ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.live.server import Server

Names = tuple[str, ...]
Holds = dict[str, "Names | None"]  # by what they are; None where the token may not look

WORDS = {
    "mounts": "secrets engines",
    "auth": "auth methods",
    "policies": "policies",
    "namespaces": "namespaces",
    "keys": "uppermost keys of KV engines",
}
_SAMPLE = 20  # KV engines whose keys are counted


@dataclass(frozen=True)
class Difference:
    """What a cluster lacks that was in it, and what it has that was not; or that nobody could look."""

    what: str
    missing: Names = ()
    more: Names = ()
    unseen: bool = False

    def __str__(self) -> str:
        if self.unseen:
            return f"{self.what}: the token may not look, so nothing is known"
        parts = [("missing", self.missing), ("not there before", self.more)]
        return f"{self.what}: " + "; ".join(f"{word}: {', '.join(names)}" for word, names in parts if names)


def look(server: Server) -> Holds:
    """What is in every namespace; of a sample of KV engines, how many keys stand uppermost."""
    inner = _allowed(lambda: _namespaces(server))
    everywhere = [server, *(server.in_namespace(name) for name in inner or ())]
    return {
        "mounts": _allowed(lambda: _everywhere(everywhere, lambda one: _mounted(one, "sys/mounts"))),
        "auth": _allowed(lambda: _everywhere(everywhere, lambda one: _mounted(one, "sys/auth"))),
        "policies": _allowed(lambda: _everywhere(everywhere, lambda one: one.list("sys/policies/acl"))),
        "namespaces": inner,
        "keys": _allowed(lambda: _counted(everywhere)),
    }


def _allowed(ask: Callable[[], Names]) -> Names | None:
    try:
        return ask()
    except Denied:
        return None


def _everywhere(servers: Sequence[Server], ask: Callable[[Server], Sequence[str]]) -> Names:
    return tuple(sorted(f"{_inside(one)}{name}" for one in servers for name in ask(one)))


def _inside(server: Server) -> str:
    return f"{server.namespace}/" if server.namespace else ""


def _namespaces(server: Server) -> Names:
    """Every namespace, by its path from the root."""
    try:
        here = server.list("sys/namespaces")
    except Rejected as error:
        if NO_SUCH_ENDPOINT in error.words:  # the free edition of Vault has none
            return ()
        raise
    paths = [_inside(server) + name.strip("/") for name in here]
    return tuple(found for path in paths for found in (path, *_namespaces(server.in_namespace(path))))


def _mounts(server: Server, path: str) -> Mapping[str, Mapping[str, Json]]:
    found = server.read(path) or {}
    return {name: said for name, said in found.items() if name.endswith("/") and isinstance(said, dict)}


def _mounted(server: Server, path: str) -> Names:
    return tuple(f"{name} ({said.get('type')})" for name, said in _mounts(server, path).items())


def _counted(servers: Sequence[Server]) -> Names:
    engines = [
        (one, name, said)
        for one in servers
        for name, said in sorted(_mounts(one, "sys/mounts").items())
        if said.get("type") == "kv"
    ]
    return tuple(f"{_inside(one)}{name}: {_keys(one, name, said)}" for one, name, said in engines[:_SAMPLE])


def _keys(server: Server, mount: str, said: Mapping[str, Json]) -> int:
    versioned = str((said.get("options") or {}).get("version")) == "2"
    return len(server.list(f"{mount}metadata" if versioned else mount.rstrip("/")))


def moved(before: Holds, after: Holds) -> Holds:
    """The names that came or went between two looks: a snapshot taken between may have them or not."""
    pairs = {what: (before[what], after[what]) for what in WORDS}
    return {what: tuple(sorted(set(one or ()) ^ set(other or ()))) for what, (one, other) in pairs.items()}


def compare(was: Mapping[str, Names | None], loose: Mapping[str, Names | None], now: Holds) -> tuple[Difference, ...]:
    """All that differs from what was recorded; what was not recorded then is not asked for."""
    found = []
    for what, words in WORDS.items():
        then, here, free = was.get(what), now[what], set(loose.get(what) or ())
        if then is None:
            continue
        if here is None:
            found.append(Difference(words, unseen=True))
            continue
        missing, more = set(then) - set(here) - free, set(here) - set(then) - free
        if missing or more:
            found.append(Difference(words, tuple(sorted(missing)), tuple(sorted(more))))
    return tuple(found)
