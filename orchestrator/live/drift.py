"""Live against declared: decided here from documents that somebody else has read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.model import get

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.declared import Environment
    from orchestrator.instances import Instance
    from orchestrator.live.standing import Standing
    from orchestrator.model import Attribute, Json

    Documents = Mapping[str, Mapping[str, Json] | None]


@dataclass(frozen=True, order=True)
class Drift:
    """One difference: a setting (declared, live), or an object that is absent or undeclared (no setting)."""

    title: str
    setting: str
    declared: Json
    live: Json


ABSENT = "absent"
PRESENT = "present"
UNDECLARED = "undeclared"


def paths(instances: Sequence[Instance]) -> dict[str, tuple[str, ...]]:
    """Every path a comparison reads, and by which words the server says that nothing is there."""
    return {path: one.resource.gone for one in instances for path in _reads(one)}


def _reads(one: Instance) -> tuple[str, ...]:
    if one.resource.exists:
        return (one.resource.exists.format_map(one.names),)
    return tuple(template.format_map(one.names) for template in one.resource.read_paths)


def drift(instances: Sequence[Instance], documents: Documents) -> list[Drift]:
    """Each declared setting that the server holds otherwise, and each declared object that it lacks."""
    return sorted(found for one in instances for found in _of(one, documents))


def _of(one: Instance, documents: Documents) -> Iterator[Drift]:
    found = [documents.get(path) for path in _reads(one)]
    if found and found[0] is None:
        yield Drift(one.declaration.title, "", PRESENT, ABSENT)
    elif not one.resource.exists:
        live = {key: value for document in found for key, value in (document or {}).items()}
        yield from _settings(one, live)


def _settings(one: Instance, live: Mapping[str, Json]) -> Iterator[Drift]:
    declared = {attribute.yaml: value for attribute, value in one.settings()}
    for attribute in one.resource.attributes():
        field = attribute.field
        if field.secret or field.output or not field.readable:
            continue
        said = declared.get(attribute.yaml)
        if said is not None or not field.computed:
            yield from _compared(one.declaration.title, attribute, said, live)


def _compared(title: str, attribute: Attribute, said: Json, live: Mapping[str, Json]) -> Iterator[Drift]:
    shape = attribute.shape
    if attribute.field.whole:
        wanted = shape.canon(said)
        for key, value in wanted.items():
            if key in live and live[key] != value:
                yield Drift(title, f"{attribute.yaml}.{key}", value, live[key])
        return
    found = get(live, attribute.api)
    if found is None and not attribute.field.yaml:
        return
    wanted = shape.canon(shape.zero if said is None else said)
    held = shape.canon(shape.zero if found is None else found)
    if wanted != held:
        yield Drift(title, attribute.yaml, said, found)


def lists(environment: Environment, mounts: Standing) -> dict[str, tuple[str, frozenset[str]]]:
    """Every list worth reading for what nobody declared: {path: (what it holds, names to expect)}."""
    held: dict[str, tuple[str, frozenset[str]]] = {}
    for one in environment.declarations:
        stands = one.kind.mount is None or mounts.get((one.kind.family, one.mount)) == one.kind.type
        for kept in one.kind.objects if one.object is None else (one.object,):
            if kept.list and stands:
                path = kept.list.format(mount=one.mount)
                prefix = "/".join(
                    part
                    for part in (one.kind.family_path, one.mount, "" if kept.key == one.kind.name else kept.key)
                    if part
                )
                known = held.get(path, (prefix, kept.ignore))[1]
                held[path] = (prefix, known | ({one.name} if one.object else set()))
    return held


def undeclared(held: Mapping[str, tuple[str, frozenset[str]]], found: Mapping[str, Sequence[str]]) -> list[Drift]:
    """Each live object, on a declared mount or beside all mounts, that no YAML names."""
    return sorted(
        Drift(f"{prefix}/{name.rstrip('/')}", "", UNDECLARED, PRESENT)
        for path, (prefix, known) in held.items()
        for name in found[path]
        if name.rstrip("/") not in known
    )


BUILT_IN_TYPES = frozenset(
    {"token", "ns_token", "system", "ns_system", "identity", "ns_identity", "cubbyhole", "ns_cubbyhole"}
)


def undeclared_mounts(environment: Environment, mounts: Standing) -> list[Drift]:
    """Each live mount that no YAML names; those that every server and namespace has are no matter."""
    declared = {(one.kind.family, one.mount) for one in environment.declarations if one.object is None}
    return sorted(
        Drift(f"{family}/{path}", "", UNDECLARED, PRESENT)
        for (family, path), type_ in mounts.items()
        if (family, path) not in declared and type_ not in BUILT_IN_TYPES
    )
