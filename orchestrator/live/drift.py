"""Live against declared: decided here from documents that somebody else has read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestrator.documents import get
from orchestrator.shapes import alike

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.declared import Declaration, Environment
    from orchestrator.documents import Json
    from orchestrator.instances import Documents, Instance
    from orchestrator.live.standing import Standing
    from orchestrator.model import Attribute, Field, Kind, Object, Resource


@dataclass(frozen=True, order=True)
class Drift:
    """One difference: a setting (declared, live), or an object that is absent or undeclared (no setting)."""

    title: str
    setting: str
    declared: Json
    live: Json


ABSENT = "absent"
PRESENT = "present"
DELETED = "deleted"
UNDECLARED = "undeclared"


def paths(instances: Sequence[Instance]) -> dict[str, tuple[str, ...]]:
    """Every path a comparison reads, and by which words the server says that nothing is there."""
    return {path: gone for one in instances for path, gone in one.reads.items()}


def drift(instances: Sequence[Instance], documents: Documents) -> list[Drift]:
    """Each declared setting that the server holds otherwise, and each declared object that it lacks."""
    names = Names(instances, documents)
    return sorted(found for one in instances for found in _of(one, documents, names))


def _of(one: Instance, documents: Documents, names: Names) -> Iterator[Drift]:
    live = one.live(documents)
    if live is None and one.reads and not one.declaration.waits:
        yield Drift(one.declaration.title, "", PRESENT, ABSENT)
    elif live is not None and not one.resource.exists:
        yield from _settings(one, live, names)


def _settings(one: Instance, live: Mapping[str, Json], names: Names) -> Iterator[Drift]:
    declared = {attribute.yaml: value for attribute, value in one.settings()}
    for attribute in one.resource.attributes():
        field = attribute.field
        if field.secret or field.output or not field.readable:
            continue
        said = declared.get(attribute.yaml)
        if said is not None or not (field.computed or field.unsaid):
            found = get(live, attribute.api)
            yield from _compared(one, attribute, said, names.told(one.kind, field, found) if field.by else found, live)


def _compared(
    one: Instance, attribute: Attribute, said: Json, found: Json, live: Mapping[str, Json]
) -> Iterator[Drift]:
    shape, title = attribute.shape, one.declaration.title
    if attribute.field.whole:
        wanted = shape.canon(said)
        for key, value in wanted.items():
            if key in live and not alike(value, live[key]):
                yield Drift(title, f"{attribute.yaml}.{key}", value, live[key])
        return
    silent = get(one.declaration.spec, attribute.yaml) is None
    if found is None and (not attribute.field.yaml or (attribute.field.absent and silent)):
        return
    wanted = shape.canon(shape.zero if said is None else said)
    held = shape.canon(shape.zero if found is None else found)
    if wanted != held:
        yield Drift(title, attribute.yaml, said, found)


class Names:
    """What the server's ids are called in the YAML."""

    def __init__(self, instances: Sequence[Instance], documents: Documents) -> None:
        self._live = [(one, one.live(documents) or {}) for one in instances]
        self._known: dict[tuple[str, str, str], dict[Json, str]] = {}

    def told(self, kind: Kind, field: Field, value: Json) -> Json:
        """The value with each id that belongs to a declared object as that object's name."""
        key = (kind.id, field.names, field.by)
        if key not in self._known:
            self._known[key] = dict(self._pairs(kind, field))
        known = self._known[key]
        return [known.get(one, one) for one in value] if isinstance(value, list) else known.get(value, value)

    def _pairs(self, kind: Kind, field: Field) -> Iterator[tuple[Json, str]]:
        for one, live in self._live:
            if one.is_named(kind, field.names):
                api = next((known.api for known in one.resource.attributes() if known.terraform == field.by), field.by)
                yield get(live, api), one.declaration.name or one.declaration.mount


@dataclass(frozen=True)
class Held:
    """What a list holds: objects by the first words of their titles, and the names to expect."""

    place: str
    sorts: Mapping[str, Resource]
    names: frozenset[str]
    table: str | None  # where the names stand in an answer that is read
    inside: str = ""  # the namespace of the list, seen from the environment's

    def knows(self, name: str) -> bool:
        return name in self.names or any(fnmatchcase(name, made) for made in self.names if "*" in made)

    def title(self, name: str, document: Mapping[str, Json] | None) -> str:
        """How people name one of them; where several sorts share the list, its document tells which it is."""
        if len(self.sorts) == 1:
            return f"{next(iter(self.sorts))}/{name}"
        fits = (first for first, sort in self.sorts.items() if _is_of(sort, document or {}))
        return f"{next(fits, self.place)}/{name}"


def _is_of(resource: Resource, document: Mapping[str, Json]) -> bool:
    return resource.is_of(lambda one: get(document, one.api) if one.field.readable else None, resource.constants)


def lists(environment: Environment, mounts: Standing) -> dict[str, Held]:
    """Every list worth reading for what nobody declared, by its path."""
    held: dict[str, Held] = {}
    for one in environment.declarations:
        stands = one.kind.mount is None or mounts.get((one.kind.family, one.mount)) == one.kind.type
        for kept in one.kind.objects if one.object is None else (one.object,):
            if kept.list and stands:
                for inside, name in _expected(one, kept):
                    path = "/".join(part for part in (inside, kept.list.format(mount=one.mount)) if part)
                    key = "" if kept.key == one.kind.name else kept.key
                    prefix = "/".join(part for part in (one.kind.family_path, one.mount, key, inside) if part)
                    place = f"{one.kind.family_path}/{path}"
                    known = held.get(path, Held(place, {}, kept.ignore, kept.table, inside))
                    sorts = {**known.sorts, prefix: kept.parts[0].resource}
                    held[path] = replace(known, sorts=sorts, names=known.names | ({name} if name else set()))
    return held


def _expected(one: Declaration, kept: Object) -> Iterator[tuple[str, str]]:
    """In which namespaces to list for a declaration, and the name to expect there, if any."""
    inside, _, name = one.name.rpartition("/") if kept.nested else ("", "", one.name)
    yield inside, name
    if kept.nested and one.object:
        yield one.name, ""


def outside(held: Mapping[str, Held], owned: Collection[str]) -> dict[str, Held]:
    """The lists that are not inside a namespace that another environment owns."""
    return {
        path: one
        for path, one in held.items()
        if not any(f"{one.inside}/".startswith(f"{namespace}/") for namespace in owned)
    }


def strangers(
    held: Mapping[str, Held], found: Mapping[str, Sequence[str]], paths: Collection[str]
) -> list[tuple[str, str]]:
    """What stands in the lists and no YAML names, nor a declared path: (list, name)."""
    names = ((path, name.rstrip("/")) for path in held for name in found[path])
    return [(path, name) for path, name in names if not held[path].knows(name) and f"{path}/{name}" not in paths]


def unclear(held: Mapping[str, Held], strange: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The documents that tell of what sort a stranger is, where its list holds several."""
    return {f"{path}/{name}": () for path, name in strange if len(held[path].sorts) > 1}


def undeclared(held: Mapping[str, Held], strange: Sequence[tuple[str, str]], documents: Documents) -> list[Drift]:
    """Each live object, on a declared mount or beside all mounts, that no YAML names."""
    titles = [held[path].title(name, documents.get(f"{path}/{name}")) for path, name in strange]
    return sorted(Drift(title, "", UNDECLARED, PRESENT) for title in titles)


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
