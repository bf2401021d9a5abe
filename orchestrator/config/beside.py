"""What an object needs beside it: keys and words of its mount, and mounts that do not go round in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.source import problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.config.entries import Entry
    from orchestrator.errors import Problem

    Key = tuple[str, str, str]


def check_needs(found: Sequence[Entry]) -> Iterator[Problem]:
    """What objects need their mount to say."""
    mounts = {(one.kind.family, one.mount): one for one in found if one.object is None}
    for entry in found:
        for name, words in entry.object.needs.items() if entry.object else ():
            said = mounts[entry.kind.family, entry.mount].node.get(name)
            listed = {one.value for one in said.texts()} if said else set()
            if missing := [word for word in words if word not in listed]:
                told = f"needs {', '.join(missing)} in the mount's {name}; add that"
                yield problem(entry.where, f"{entry.title}: {told}")
            elif said is None:
                yield problem(entry.where, f"{entry.title}: needs {name} beside it; declare it too")


def check_fits(found: Sequence[Entry]) -> Iterator[Problem]:
    """Settings that may be written only beside some values of others."""
    for entry in found:
        for name, field, node in entry.given:
            for setting, allowed in field.fits.items() if node.value not in (None, []) else ():
                said = entry.node.get(setting)
                if (said.value if said else None) not in allowed:
                    wanted = " or ".join(str(one) for one in allowed if one is not None)
                    told = f"goes only with {setting}: {wanted}; leave it out, or change {setting}"
                    yield problem(node.where, f"{entry.title}/{name}: {told}")


def check_below(found: Sequence[Entry]) -> Iterator[Problem]:
    """Objects that stand on each other's mounts all round, or on one that is not whole yet."""
    below = {_key(one): other for one in found if (other := _stands_on(one))}
    known = {_key(one): one for one in found if one.object}
    for entry in found:
        under = known.get(below.get(_key(entry), _key(entry)), entry)
        if under is not entry and under.declaration().waits:
            yield problem(entry.where, f"{entry.title}: stands on {under.title}, which waits itself; declare it later")
        if round_ := _round(_key(entry), below):
            mounts = " → ".join(mount for _, mount, _ in round_)
            yield problem(entry.where, f"{entry.title}: stands on itself ({mounts}); let one of them stand elsewhere")


def _key(entry: Entry) -> Key:
    return entry.kind.id, entry.mount, entry.object.key if entry.object else ""


def _stands_on(entry: Entry) -> Key | None:
    """The object of the same sort on the mount that one of its parts names."""
    settings = [part.mount for part in entry.object.parts if part.mount] if entry.object else []
    said = next((node.value for name in settings if (node := entry.node.get(name))), None)
    return (*_key(entry)[:1], said, entry.object.key) if isinstance(said, str) and entry.object else None


def _round(start: Key, below: Mapping[Key, Key]) -> list[Key]:
    """The way from an object back to itself; empty where none leads there."""
    way = [start]
    while (following := below.get(way[-1])) is not None and following not in way:
        way.append(following)
    return [*way, start] if following == start and len(way) > 1 else []
