"""An environment as Terraform JSON: one `for_each` block a resource type, no secret in it, no effect."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.instances import Instance
    from orchestrator.model import Json, Resource


def render(instances: Sequence[Instance], adopted: Iterable[Instance] = ()) -> dict[str, Json]:
    """The document `rendered.tf.json`: variables for secrets, values by type and key, resources over them."""
    by_type: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_type[instance.resource.type].append(instance)
    mounts = _mount_types(instances)
    tables = {name: _table(same) for name, same in by_type.items()}
    blocks = {name: _Block(same, tables[name], mounts, by_type.keys()) for name, same in by_type.items()}
    secrets = secret_keys(instances)
    document = {
        "variable": {variable(key): {"type": "string", "ephemeral": True, "sensitive": True} for key in secrets},
        "locals": {**tables, "secrets": {key: f"${{var.{variable(key)}}}" for key in secrets}},
        "resource": {name: {"this": block.body()} for name, block in blocks.items()},
        "import": [{"to": one.address, "id": _literal(one.import_id)} for one in adopted],
    }
    return {key: part for key, part in document.items() if part}


def secret_keys(instances: Iterable[Instance]) -> list[str]:
    return sorted({one.secret_key(attribute) for one in instances for attribute, _, _ in one.secrets()})


def variable(key: str) -> str:
    """The Terraform variable that brings a secret in; its environment variable is `TF_VAR_` and this."""
    return f"secret_{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _table(same: Sequence[Instance]) -> dict[str, dict[str, Json]]:
    """The values of one resource type by key; every row has the same columns, null where it says nothing."""
    rows = {one.key: _row(one) for one in same}
    empty = dict.fromkeys(name for row in rows.values() for name in row)
    return {_literal(key): {**empty, **row} for key, row in rows.items()}


def _row(instance: Instance) -> dict[str, Json]:
    resource = instance.resource
    row = {name: _literal(instance.names[name]) for name in (resource.mount, resource.name) if name}
    for attribute, value in instance.settings():
        if not attribute.field.secret:
            row[_column(attribute.terraform)] = _literal(attribute.shape.render(value))
    for attribute, _, version in instance.secrets():
        row[_column(attribute.terraform)] = _literal(instance.secret_key(attribute))
        row[_column(attribute.version)] = version
    return row


def _column(path: str) -> str:
    return path.replace(".", "__")


def _literal(value: Json) -> Json:
    """A value whose texts Terraform takes as they are.

    >>> _literal({"a": ["${x}", 1]})
    {'a': ['$${x}', 1]}
    """
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {_literal(key): _literal(item) for key, item in value.items()}
    return value


def _mount_types(instances: Iterable[Instance]) -> dict[tuple[str, str], str]:
    """The resource type behind each mount: {(family, path): type}."""
    return {
        (one.kind.family, one.declaration.mount): one.resource.type
        for one in instances
        if one.declaration.object is None
    }


@dataclass(frozen=True)
class _Block:
    """The body of one `resource "TYPE" "this"`."""

    same: Sequence[Instance]
    table: Mapping[str, Mapping[str, Json]]
    mounts: Mapping[tuple[str, str], str]
    present: Iterable[str]

    @property
    def resource(self) -> Resource:
        return self.same[0].resource

    def body(self) -> dict[str, Json]:
        dynamic = dict(self._dynamic())
        after = [f"{name}.this" for name in self.resource.after if name in self.present]
        return {
            "for_each": f"${{local.{self.resource.type}}}",
            **dict(self._identity()),
            **{name: f"${{{value}}}" for name, value in self._members("")},
            **dict(self._objects()),
            **({"dynamic": dynamic} if dynamic else {}),
            **({"depends_on": after} if after else {}),
        }

    def _used(self, path: str) -> bool:
        return any(_column(path) in row for row in self.table.values())

    def _identity(self) -> Iterator[tuple[str, str]]:
        one, resource = self.same[0], self.resource
        if resource.name:
            yield resource.name, f"${{each.value.{resource.name}}}"
        if resource.mount and one.declaration.object is None:
            yield resource.mount, f"${{each.value.{resource.mount}}}"
        elif resource.mount:
            type_ = self.mounts[(one.kind.family, one.declaration.mount)]
            yield resource.mount, f"${{{type_}.this[each.value.{resource.mount}].path}}"

    def _members(self, group: str) -> Iterator[tuple[str, str]]:
        """The arguments of the block itself, or of one group, and their expressions."""
        links = self.same[0].part.links
        for attribute in self.resource.attributes():
            parent, _, leaf = attribute.terraform.rpartition(".")
            if parent != group or attribute.shape.element:
                continue
            if attribute.terraform in links:
                type_, source = links[attribute.terraform]
                yield leaf, f"{type_}.this[each.key].{source}"
            elif self._used(attribute.terraform):
                column = f"each.value.{_column(attribute.terraform)}"
                secret = attribute.field.secret
                yield leaf, f"{column} == null ? null : local.secrets[{column}]" if secret else column
                if secret:
                    yield f"{leaf}_version", f"each.value.{_column(attribute.version)}"

    def _given(self, group: str) -> str:
        """True where an object sets anything in the group."""
        columns = sorted(name for name in next(iter(self.table.values())) if name.startswith(f"{group}__"))
        return " || ".join(f"each.value.{name} != null" for name in columns)

    def _objects(self) -> Iterator[tuple[str, str]]:
        """Groups that are an attribute: a list of one object, which must name every member."""
        for group, way in self.resource.groups.items():
            if way == "attribute" and self._given(group):
                known = dict(self._members(group))
                names = [one.terraform.rpartition(".") for one in self.resource.attributes()]
                members = ", ".join(
                    f"{leaf} = {known.get(leaf, 'null')}" for parent, _, leaf in names if parent == group
                )
                yield group, f"${{{self._given(group)} ? [{{ {members} }}] : null}}"

    def _dynamic(self) -> Iterator[tuple[str, Json]]:
        """Nested blocks, there for those objects that say something in them."""
        for group, way in self.resource.groups.items():
            if way == "block" and self._given(group):
                content = {name: f"${{{value}}}" for name, value in self._members(group)}
                yield group, {"for_each": f"${{{self._given(group)} ? [1] : []}}", "content": content}
        for attribute in self.resource.attributes():
            name, element = attribute.terraform, attribute.shape.element
            if element and self._used(name):
                content = {member: f"${{{name}.value.{member}}}" for member in element}
                yield name, {"for_each": f"${{coalesce(each.value.{name}, [])}}", "content": content}
