"""A leaked value of a KV secret: its versions are destroyed, the current one only where it was named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident import traces
from orchestrator.incident.kinds import said
from orchestrator.incident.model import Credential, Gone, Look, Scope
from orchestrator.live.bulk import Ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground

_FLAG = "--kv"
_ABSENT = ("status 404",)


def pin(ground: Ground, mounts: Sequence[str], value: str) -> str:
    """With the version that is the current one now: one that is written later is not what leaked."""
    named = said.versions(_FLAG, value, mounts)
    if named.named or named.upto or not _has_versions(ground, named.mount):
        return value
    return f"{value}@..{_metadata(ground, _bare(named))['current_version']}"


def scope(ground: Ground, mounts: Sequence[str], value: str) -> Scope:
    """The versions that hold the leaked value; the server tells of each whether it is destroyed."""
    named = said.versions(_FLAG, value, mounts)
    if not _has_versions(ground, named.mount):
        return _unversioned(ground, named)
    named = _bare(named)
    live = _metadata(ground, named)
    current = int(live["current_version"])
    leaked = named.named or tuple(range(max(int(live["oldest_version"]), 1), (named.upto or current) + 1))
    missing = [str(one) for one in leaked if one > current]
    if missing:
        raise Gone(f"{_FLAG} {value}: there is no version {', '.join(missing)}; the last one is {current}")
    kept = 0 if named.named else current
    return Scope(
        singles=tuple(_version(ground, named, number, in_use=number == kept) for number in leaked),
        notes=(
            *_notes(named, current, leaked),
            *traces.readers(ground, f"{named.mount}/data/{named.path}", f"secrets/{named.mount}/{named.path}"),
        ),
    )


def _bare(named: said.Versions) -> said.Versions:
    """People write what the API or what the command line calls it."""
    return said.Versions(named.mount, named.path.removeprefix("data/"), named.named, named.upto)


def _has_versions(ground: Ground, mount: str) -> bool:
    live = (ground.server.read("sys/mounts") or {}).get(f"{mount}/") or {}
    return (live.get("options") or {}).get("version") == "2"


def _metadata(ground: Ground, named: said.Versions) -> Mapping[str, Json]:
    live = ground.server.read(f"{named.mount}/metadata/{named.path}")
    if live is None:
        raise Gone(f"{_FLAG} {named.mount}/{named.path}: there is no such secret on {named.mount}")
    return live


def _version(ground: Ground, named: said.Versions, number: int, *, in_use: bool) -> Credential:
    path = f"{named.mount}/{named.path}"
    end = Ask("POST", f"{named.mount}/destroy/{named.path}", {"versions": [number]}, ground.namespace)
    look = Look(
        Ask("GET", f"{named.mount}/metadata/{named.path}", None, ground.namespace),
        gone=_ABSENT,
        flag=f"data.versions.{number}.destroyed",
        past="data.oldest_version",  # it was dropped, as there are more versions than are kept
        version=number,
    )
    stays = f"it is in use: write a new one, and run this again; or have it destroyed with {_FLAG} {path}@{number}"
    return Credential(
        "secret version",
        f"{path}@{number}",
        ground.namespace,
        f"secrets/{path}",
        None if in_use else end,
        look,
        facts={"mount": named.mount, "path": named.path, "version": number},
        proof="" if in_use else "orchestrator.incident.proofs.kv:unreadable",
        stays=stays if in_use else "",
    )


def _notes(named: said.Versions, current: int, leaked: Sequence[int]) -> list[str]:
    path = f"secrets/{named.mount}/{named.path}"
    if current not in leaked:
        return []
    if named.named:
        return [f"{path}: version {current} is in use: whoever reads it finds nothing till a new one is written"]
    return [f"{path}: version {current} is in use and stays alive: its owner must write a new one"]


def _unversioned(ground: Ground, named: said.Versions) -> Scope:
    path = f"{named.mount}/{named.path}"
    if named.named or named.upto:
        raise StrongroomError(f"{_FLAG} {path}: this mount keeps no versions; name the path alone")
    if ground.server.read(path) is None:
        raise Gone(f"{_FLAG} {path}: there is no such secret on {named.mount}")
    stays = "this mount keeps no versions: write a new value over it by hand, or delete it"
    look = Look(Ask("GET", path, None, ground.namespace), gone=_ABSENT)
    single = Credential("secret", path, ground.namespace, f"secrets/{path}", None, look, stays=stays)
    return Scope(singles=(single,), notes=(f"secrets/{path}: {stays}; whether that was done is not told here",))
