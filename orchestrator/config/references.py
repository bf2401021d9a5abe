"""What settings name: a policy, another mount, an object beside them; and lists that must name back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.catalog import named
from orchestrator.config.source import problem
from orchestrator.config.words import meant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node
    from orchestrator.errors import Problem
    from orchestrator.model import Field

_POLICY = "policy"
_AUTH = "auth"
_MOUNT = "mount:"
_EVERYTHING = "*"
_BUILT_IN = ("default",)


@dataclass(frozen=True)
class Use:
    """A setting whose text names another object."""

    entry: Entry
    setting: str
    node: Node

    def __str__(self) -> str:
        return f"{self.entry.title}/{self.setting.replace('.', '/')}"


@dataclass(frozen=True)
class Known:
    """What may be named: policies, mounts by family and kind, objects by their kind, mount and key; and who names whom.

    A field's `names` is `policy`; `auth`, any auth mount; `mount:pki`, another mount of a kind; or keys of objects
    joined by commas: `roles` beside it, `identity/entities` of another kind.
    """

    policies: frozenset[str]
    mounts: Mapping[tuple[str, str], Sequence[str]]
    objects: Mapping[tuple[str, str, str], Mapping[str, Entry]]
    uses: Mapping[tuple[str, str, str, str], Sequence[Use]]

    def named(self, entry: Entry, field: Field) -> dict[str, Entry]:
        """The objects that a setting of the entry may name."""
        found: dict[str, Entry] = {}
        for kind, one in named(entry.kind, field.names) if _objects(field) else ():
            mount = entry.mount if kind is entry.kind else ""
            found |= self.objects.get((kind.id, mount, one.key), {})
        return found


def check_references(found: Sequence[Entry], policies: Iterable[str]) -> Iterator[Problem]:
    known = _known(found, policies)
    for entry in found:
        yield from _check_names(entry, known)
        for name, field in entry.fields.items():
            if _is_list(field) and _siblings(field):
                yield from _check_list(entry, name, field, known)


def _known(found: Sequence[Entry], policies: Iterable[str]) -> Known:
    mounts: dict[tuple[str, str], list[str]] = {}
    objects: dict[tuple[str, str, str], dict[str, Entry]] = {}
    uses: dict[tuple[str, str, str, str], list[Use]] = {}
    for one in found:
        if one.object is None:
            mounts.setdefault((one.kind.family, one.kind.name), []).append(one.mount)
        else:
            objects.setdefault((one.kind.id, one.mount, one.object.key), {})[one.name] = one
        for key, use in _uses(one):
            uses.setdefault((one.kind.id, one.mount, key, use.node.value), []).append(use)
    return Known(frozenset((*_BUILT_IN, *policies)), mounts, objects, uses)


def _uses(entry: Entry) -> Iterator[tuple[str, Use]]:
    """What an object names by a single text, with the key under which that stands."""
    for name, field, node in entry.given():
        if not _is_list(field) and isinstance(node.value, str) and not _is_open(node.value):
            yield from ((key, Use(entry, name, node)) for key in _siblings(field))


def _check_names(entry: Entry, known: Known) -> Iterator[Problem]:
    for name, field, node in entry.given():
        texts = list(node.texts()) if field.names else []
        words = _candidates(entry, field, known) if texts else ()
        for text in texts:
            everything = text.value == _EVERYTHING and _is_list(field) and _objects(field)
            if not (everything or _is_open(text.value) or text.value in field.besides or text.value in words):
                use, what = Use(entry, name, node), _what(entry, field)
                yield problem(text.where, f"{use}: there is no {what} {text.value!r}; {meant(text.value, words)}")


def _candidates(entry: Entry, field: Field, known: Known) -> Collection[str]:
    """The names a setting may hold."""
    if field.names == _POLICY:
        return known.policies
    if field.names == _AUTH:
        return [mount for (family, _), mounts in known.mounts.items() if family == "auth" for mount in mounts]
    if field.names.startswith(_MOUNT):
        mounts = known.mounts.get((entry.kind.family, field.names.removeprefix(_MOUNT)), ())
        return [mount for mount in mounts if mount != entry.mount]
    return known.named(entry, field)


def _what(entry: Entry, field: Field) -> str:
    """What a setting names."""
    if field.names == _POLICY:
        return "policy"
    if field.names == _AUTH:
        return "auth mount"
    if field.names.startswith(_MOUNT):
        return f"other {field.names.removeprefix(_MOUNT)} mount"
    several = (
        "/".join(part for part in (kind.family_path, entry.mount if kind is entry.kind else "", one.key) if part)
        for kind, one in named(entry.kind, field.names)
    )
    return " or ".join(several)


def _objects(field: Field) -> bool:
    """Whether a setting names objects."""
    return bool(field.names) and field.names not in (_POLICY, _AUTH) and not field.names.startswith(_MOUNT)


def _siblings(field: Field) -> list[str]:
    """The keys of the objects beside it that a setting names."""
    return field.names.split(",") if _objects(field) and "/" not in field.names else []


def _is_open(text: str) -> bool:
    """Whether only the server or the machine can say what it names."""
    return "{{" in text or "${" in text


def _is_list(field: Field) -> bool:
    return isinstance(field.shape.cty, list)


def _check_list(entry: Entry, name: str, field: Field, known: Known) -> Iterator[Problem]:
    """Each object that names this one must stand in its list, and each in its list must name it."""
    key = entry.object.key if entry.object else ""
    node = entry.node.get(name)
    listed = {text.value: text for text in node.texts()} if node else {}
    title, keys = f"{entry.title}/{name}", _siblings(field)
    beside = known.objects.get((entry.kind.id, entry.mount, key), {})
    for use in known.uses.get((entry.kind.id, entry.mount, key, entry.name), ()):
        mine = use.entry.object and use.entry.object.key in keys
        if mine and not listed.keys() & {use.entry.name, _EVERYTHING}:
            where = entry.node.keys.get(name, entry.where)
            yield problem(use.node.where, f"{use}: {title} at {where} does not list {use.entry.name!r}; add it there")
    for text in listed.values():
        same = [known.objects.get((entry.kind.id, entry.mount, other), {}).get(text.value) for other in keys]
        uses = [use for one in same if one for back, use in _uses(one) if back == key]
        if uses and all(use.node.value != entry.name and use.node.value in beside for use in uses):
            there = f"{uses[0]} at {uses[0].node.where} names {uses[0].node.value!r} instead"
            yield problem(text.where, f"{title}: {there}; change one of the two")
