"""What settings name: a policy, another mount, an object beside them; and lists that must name back."""

from __future__ import annotations

from collections import ChainMap
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
_FEW = 3


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
    objects: Mapping[tuple[str, str, str], dict[str, Entry]]
    uses: Mapping[tuple[str, str, str, str], Sequence[Use]]

    def named(self, entry: Entry, field: Field) -> Mapping[str, Entry]:
        """The objects that a setting of the entry may name."""
        several = named(entry.kind, field.names) if _objects(field) else ()
        keys = ((kind.id, entry.mount if kind is entry.kind else "", one.key) for kind, one in several)
        return ChainMap(*(self.objects.get(key, {}) for key in keys))


def check_references(found: Sequence[Entry], policies: Iterable[str]) -> Iterator[Problem]:
    known = _known(found, policies)
    for entry in found:
        yield from _check_names(entry, known)
        for name, field in entry.fields.items():
            if _is_list(field) and _siblings(field):
                yield from _check_list(entry, name, field, known)
        yield from _check_whose(entry, known)
        yield from _check_round(entry, known)


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
    others = (one.name for one in found if one.object and one.object.policy)
    return Known(frozenset((*_BUILT_IN, *policies, *others)), mounts, objects, uses)


def _uses(entry: Entry) -> Iterator[tuple[str, Use]]:
    """What an object names by a single text, with the key under which that stands."""
    for name, field, node in entry.given:
        if not _is_list(field) and isinstance(node.value, str) and not _is_open(node.value):
            yield from ((key, Use(entry, name, node)) for key in _siblings(field))


def _check_names(entry: Entry, known: Known) -> Iterator[Problem]:
    for name, field, node in entry.given:
        texts = list(node.texts()) if field.names else []
        words = _candidates(entry, field, known) if texts else ()
        for text in texts:
            everything = text.value == _EVERYTHING and _is_list(field) and _objects(field)
            word = text.value.removeprefix(field.prefix)
            free = everything or _is_open(word) or (field.prefix and word == text.value)
            if not (free or word in field.besides or word in words):
                use, what = Use(entry, name, node), _what(entry, field, known)
                yield problem(text.where, f"{use}: there is no {what} {word!r}; {meant(word, words)}")


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


def _what(entry: Entry, field: Field, known: Known) -> str:
    """What a setting names; of many keys, those that hold something."""
    if field.names == _POLICY:
        return "policy"
    if field.names == _AUTH:
        return "auth mount"
    if field.names.startswith(_MOUNT):
        return f"other {field.names.removeprefix(_MOUNT)} mount"
    keys = [(kind, entry.mount if kind is entry.kind else "", one.key) for kind, one in named(entry.kind, field.names)]
    held = [one for one in keys if known.objects.get((one[0].id, *one[1:]))]
    told = keys if len(keys) <= _FEW else held or keys[:1]
    return " or ".join("/".join(part for part in (kind.family_path, *rest) if part) for kind, *rest in told)


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
    for use in known.uses.get((entry.kind.id, entry.mount, key, entry.name), ()):
        mine = use.entry.object and use.entry.object.key in keys
        if mine and not listed.keys() & {use.entry.name, _EVERYTHING}:
            where = entry.node.keys.get(name, entry.where)
            yield problem(use.node.where, f"{use}: {title} at {where} does not list {use.entry.name!r}; add it there")
    for text in listed.values():
        same = [known.objects.get((entry.kind.id, entry.mount, other), {}).get(text.value) for other in keys]
        uses = [use for one in same if one for back, use in _uses(one) if back == key]
        if uses and all(use.node.value != entry.name and use.node.value in _beside(use, known) for use in uses):
            there = f"{uses[0]} at {uses[0].node.where} names {uses[0].node.value!r} instead"
            yield problem(text.where, f"{title}: {there}; change one of the two")


def _check_whose(entry: Entry, known: Known) -> Iterator[Problem]:
    """What a named object must say to be named here."""
    for name, field, node in entry.given:
        there = known.named(entry, field).get(node.value) if field.whose and isinstance(node.value, str) else None
        for setting, wanted in field.whose.items() if there else ():
            if there and _said(there, setting) != wanted:
                told = f"{there.title} has no {setting}: {wanted}; write that there, or name another one"
                yield problem(node.where, f"{Use(entry, name, node)}: {told}")


def _said(entry: Entry, setting: str) -> object:
    node = entry.node.get(setting)
    return node.value if node else entry.fields[setting].default


def _check_round(entry: Entry, known: Known) -> Iterator[Problem]:
    """An object that holds itself by what it holds."""
    for name, field in entry.fields.items():
        key = entry.object.key if entry.object else ""
        if _is_list(field) and _siblings(field) == [key] and (way := _round(entry, name, known)):
            names = " → ".join([*way, entry.name])
            told = f"it would hold itself ({names}); take one of them out"
            yield problem(entry.node.keys.get(name, entry.where), f"{entry.title}/{name}: {told}")


def _round(start: Entry, name: str, known: Known) -> list[str]:
    """The way from an object back to itself through the lists of that name; empty where none leads there."""
    others, ways, seen = (
        known.objects.get((start.kind.id, start.mount, start.object.key if start.object else ""), {}),
        [[start.name]],
        set(),
    )
    while ways:
        way = ways.pop()
        node = others[way[-1]].node.get(name) if way[-1] in others else None
        for held in node.texts() if node else ():
            if held.value == start.name:
                return way
            if held.value not in seen:
                seen.add(held.value)
                ways.append([*way, held.value])
    return []


def _beside(use: Use, known: Known) -> Collection[str]:
    """The names that stand beside a use, under any key that it may mean."""
    return known.named(use.entry, use.entry.fields[use.setting])
