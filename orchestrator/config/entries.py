"""What an environment's tree declares, mount by mount and object by object, right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.catalog import FAMILIES
from orchestrator.config.schema import MOUNTED, sections
from orchestrator.declared import Declaration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.config.source import Node
    from orchestrator.declared import Where
    from orchestrator.documents import Json
    from orchestrator.model import Field, Kind, Object


@dataclass(frozen=True)
class Entry:
    """A mount (no `object`) or an object as written: the way to it, its place and its settings."""

    kind: Kind
    object: Object | None
    mount: str
    name: str
    path: tuple[str, ...]
    where: Where
    node: Node

    @property
    def title(self) -> str:
        return "/".join(self.path)

    @property
    def fields(self) -> dict[str, Field]:
        if self.object is not None:
            return self.object.settings
        return self.kind.mount.settings if self.kind.mount else {}

    @cached_property
    def given(self) -> tuple[tuple[str, Field, Node], ...]:
        """The settings that are written."""
        known = self.node.value if isinstance(self.node.value, dict) else {}
        return tuple(
            (name, field, node)
            for name, field in self.fields.items()
            if (name in known or "." in name) and (node := self.node.get(name))
        )

    def declaration(self) -> Declaration:
        return Declaration(self.kind, self.object, self.mount, self.name, self._spec(), self.where)

    def _spec(self) -> dict[str, Json]:
        if self.object is not None:
            return self.node.plain() or {}
        others = {"type", *(one.key for one in self.kind.objects)}
        return {key: one.plain() for key, one in self.node.items() if key not in others}


def entries(root: Node) -> Iterator[Entry]:
    for family in MOUNTED:
        section = root.at([family])
        for mount, node in section.items() if section else ():
            if kind := kind_of(family, node):
                where = section.keys[mount]  # type: ignore[union-attr]
                yield Entry(kind, None, mount, "", (family, mount), where, node)
                yield from _objects(kind, mount, node, (family, mount))
    for kind in sections().values():
        if kind.is_one:
            yield from _objects(kind, "", root, ())
        elif section := root.at([kind.name]):
            yield from _objects(kind, "", section, (kind.name,))


def kind_of(family: str, mount: Node) -> Kind | None:
    """The kind that a mount's `type` names."""
    named = mount.at(["type"])
    return FAMILIES[family].get(named.value) if named and isinstance(named.value, str) else None


def _objects(kind: Kind, mount: str, parent: Node, path: tuple[str, ...]) -> Iterator[Entry]:
    for one in kind.objects:
        node = parent.at([one.key])
        here = (*path, one.key)
        if node is None:
            continue
        if one.single:
            yield Entry(kind, one, mount, "", here, parent.keys[one.key], node)
            continue
        for name, child in node.items():
            yield Entry(kind, one, mount, name, (*here, name), node.keys[name], child)
