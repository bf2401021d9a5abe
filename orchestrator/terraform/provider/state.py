"""Between Terraform's nested state and the flat settings of the catalogue: {"postgresql.username": "app"}."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.terraform.provider.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.model import Resource
    from orchestrator.shapes import Shape

Flat = dict[str, "Json"]


def flatten(resource: Resource, state: Mapping[str, Json] | None) -> Flat:
    """Every attribute of a state by its dotted path; a group that is not there has null members."""
    flat: Flat = {}
    for name in _top(resource):
        flat[name] = (state or {}).get(name)
    for attribute in resource.attributes():
        group, _, leaf = attribute.terraform.rpartition(".")
        holder = _first((state or {}).get(group)) if group else (state or {})
        flat[attribute.terraform] = UNKNOWN if holder is UNKNOWN else holder.get(leaf)
        if attribute.write_only:
            flat[attribute.version] = UNKNOWN if holder is UNKNOWN else holder.get(f"{leaf}_version")
    return flat


def nest(resource: Resource, flat: Flat) -> dict[str, Json]:
    """The reverse of `flatten`."""
    groups: dict[str, dict[str, Json]] = {group: {} for group in resource.groups}
    state: dict[str, Json] = {name: flat.get(name) for name in _top(resource)}
    for path in _paths(resource):
        group, _, leaf = path.rpartition(".")
        (groups[group] if group else state)[leaf] = flat.get(path)
    for group, members in groups.items():
        state[group] = _group(resource.groups[group], members)
    for attribute in resource.attributes():
        if attribute.shape.element and state[attribute.terraform] is None:
            state[attribute.terraform] = []
    return state


def within(resource: Resource, variant: Resource, flat: Flat) -> Flat:
    """The state without what belongs to other variants of its type."""
    own = {*_top(resource), *_paths(variant)}
    return {name: value if name in own else None for name, value in flat.items()}


def _group(way: str, members: dict[str, Json]) -> Json:
    if any(value is not None and value is not UNKNOWN for value in members.values()):
        return [members]
    if any(value is UNKNOWN for value in members.values()):
        return UNKNOWN if way == "attribute" else [members]
    return []


def _paths(resource: Resource) -> list[str]:
    return [
        path
        for attribute in resource.attributes()
        for path in ([attribute.terraform, attribute.version] if attribute.write_only else [attribute.terraform])
    ]


def _top(resource: Resource) -> list[str]:
    return [*(["id"] if resource.has_id else []), *place(resource)]


def place(resource: Resource) -> list[str]:
    """The attributes that say which object it is, and in which namespace."""
    return [*identity(resource), *(["namespace"] if resource.has_namespace else [])]


def identity(resource: Resource) -> list[str]:
    """The attributes that name the object: its mount and its own name."""
    return [name for name in (resource.mount, resource.name) if name]


def _first(value: Json) -> Json:
    if value is UNKNOWN:
        return UNKNOWN
    return value[0] if value else {}


def open_(value: Json) -> bool:
    """Whether any part of a value is known only after an apply."""
    if isinstance(value, dict):
        return any(map(open_, value.values()))
    return value is UNKNOWN or (isinstance(value, list) and any(map(open_, value)))


def nothing(shape: Shape, value: Json) -> bool:
    """Whether a value is what a server says of a setting that nobody set."""
    return value is None or (not open_(value) and bool(shape.canon(value) == shape.canon(shape.zero)))


def same(shape: Shape, one: Json, other: Json) -> bool:
    if open_(one) or open_(other):
        return False
    if one is None or other is None:
        return one is other
    return bool(shape.canon(one) == shape.canon(other))


def steps(terraform: str) -> Iterator[str | int]:
    """A dotted path as Terraform walks it: through the one block of a group.

    >>> list(steps("postgresql.username"))
    ['postgresql', 0, 'username']
    """
    group, _, leaf = terraform.rpartition(".")
    if group:
        yield group
        yield 0
    yield leaf


def parse_id(resource: Resource, text: str) -> dict[str, str] | None:
    """The names in an import's id, by the resource's own template; None when it does not fit."""
    for template in (resource.import_id, resource.identity, resource.path):
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(template))
        found = re.fullmatch(pattern, text) if template else None
        if found:
            return found.groupdict()
    return None
