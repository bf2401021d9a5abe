"""An environment as Terraform JSON: one `for_each` block a resource type, no secret in it, no effect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.catalog import RESOURCES, named
from orchestrator.instances import label, variable
from orchestrator.terraform import beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from orchestrator.documents import Json
    from orchestrator.instances import Instance
    from orchestrator.model import Attribute, Resource
    from orchestrator.shapes import Element

    Present = Mapping[str, Sequence[str]]


def render(instances: Sequence[Instance], adopted: Iterable[tuple[Instance, str]] = ()) -> dict[str, Json]:
    """The document `rendered.tf.json`: variables for secrets, values by type and key, resources over them."""
    grouped: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in instances:
        grouped[instance.resource.type, instance.block].append(instance)
    mounts, present = _mount_types(instances), _present(grouped)
    carriers = beside.labels(instances)
    blocks = [_Block(same, _table(same), mounts, present, carriers) for same in grouped.values()]
    resources: dict[str, dict[str, Json]] = defaultdict(dict)
    for block in blocks:
        resources[block.resource.type][block.one.block] = block.body()
    for name, body in beside.blocks(instances):
        resources[beside.TYPE][name] = body
    secrets = secret_keys(instances)
    document = {
        "variable": {variable(key): {"type": "string", "ephemeral": True, "sensitive": True} for key in secrets},
        "locals": {
            **{block.local: block.table for block in blocks},
            **dict(_of_mounts(blocks, mounts)),
            **{f"beside_{name}": _literal(table) for name, table in beside.tables(instances).items()},
            "secrets": {key: f"${{var.{variable(key)}}}" for key in secrets},
        },
        "resource": dict(resources),
        "import": [{"to": one.address, "id": _literal(id_)} for one, id_ in adopted],
    }
    return {key: part for key, part in document.items() if part}


def _present(blocks: Iterable[tuple[str, str]]) -> Present:
    """The blocks of each resource type."""
    found: dict[str, list[str]] = defaultdict(list)
    for type_, block in blocks:
        found[type_].append(block)
    return {type_: tuple(sorted(same)) for type_, same in found.items()}


def _of_mounts(blocks: Iterable[_Block], mounts: Mapping[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    """What settings take of the auth mounts they name, whatever resource type stands behind each."""
    types = sorted({type_ for (family, _), type_ in mounts.items() if family == "auth"})
    for taken in sorted({field.by for block in blocks for field in block.resource.fields.values()} - {""}):
        if any(field.names == "auth" and field.by == taken for one in blocks for field in one.resource.fields.values()):
            maps = ", ".join(f"{{ for key, one in {type_}.this : key => one.{taken} }}" for type_ in types)
            yield f"auth_{taken}", f"${{merge({maps})}}" if maps else "${{}}"


def secret_keys(instances: Iterable[Instance]) -> list[str]:
    return sorted(
        {one.secret_key(attribute) for one in instances for attribute, _, _ in one.secrets() if attribute.write_only}
    )


def _table(same: Sequence[Instance]) -> dict[str, dict[str, Json]]:
    """The values of one resource type by key; every row has the same columns, null where it says nothing."""
    rows = {one.key: _row(one) for one in same}
    empty = dict.fromkeys(name for row in rows.values() for name in row)
    return {_literal(key): {**empty, **row} for key, row in rows.items()}


def _row(instance: Instance) -> dict[str, Json]:
    resource = instance.resource
    if resource.through:
        return _document(instance, resource.through)
    row = {name: _literal(instance.names[name]) for name in (resource.mount, resource.name) if name}
    if instance.inside:
        row["namespace"] = _literal(instance.inside)
    for attribute, value in instance.settings():
        if not attribute.field.secret:
            row[_column(attribute.terraform)] = _literal(attribute.shape.render(value))
    for attribute, _, version in instance.secrets():
        if attribute.field.apart:
            row[_column(attribute.terraform)] = beside.STAND_IN
            continue
        row[_column(attribute.terraform)] = _literal(instance.secret_key(attribute))
        row[_column(attribute.version)] = version
    return row


def _document(instance: Instance, through: Resource) -> dict[str, Json]:
    """The row of an object that another resource writes: where, and all its settings at once."""
    said = {one.key: one.shape.send(one.shape.render(value)) for one, value in instance.settings()}
    whole = next(one for one in through.attributes() if one.field.whole)
    row = {through.name: instance.path, whole.terraform: whole.shape.render(said), **through.constants}
    return {_column(name): _literal(value) for name, value in row.items()}


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
    present: Present
    carriers: Mapping[str, Sequence[str]]  # what carries secrets beside the objects of a type

    @property
    def one(self) -> Instance:
        """One of the instances, for what they have in common."""
        return self.same[0]

    @property
    def resource(self) -> Resource:
        return RESOURCES[self.one.resource.type]

    @property
    def local(self) -> str:
        """The name of the local value with its rows."""
        rest = self.one.block.removeprefix("this").removeprefix("_")
        return f"{self.resource.type}_{rest}" if rest else self.resource.type

    def _after(self) -> Iterator[str]:
        """The blocks that must stand first."""
        mounts = sorted(set(self.mounts.values())) if self.one.resource.after_mounts else []
        for name in (*self.one.resource.after, *mounts):
            mine = self._of_object(name, self.one.tier)
            yield from (f"{name}.{block}" for block in self.present.get(name, ()) if not mine or block in mine)
            yield from (f"{beside.TYPE}.{block}" for block in self.carriers.get(name, ()))
        if self.one.inside:
            yield f"{self.resource.type}.{label(self.one.tier - 1)}"
        one, below = self.one.declaration.object, self.one.tier - 1
        for name in dict.fromkeys(part.resource.type for part in one.parts) if one and self.one.tier else ():
            there = self.present.get(name, ())
            yield from (f"{name}.{block}" for block in self._of_object(name, below) if block in there)
        if self.one.resource.through:
            yield from sorted({f"{self._mount_type(one)}.this" for one in self.same})

    def _of_object(self, type_: str, tier: int) -> list[str]:
        """The blocks of a type that the object's own parts have in a tier."""
        one = self.one.declaration.object
        return [label(tier, part.block) for part in (one.parts if one else ()) if part.resource.type == type_]

    def _mount_type(self, one: Instance) -> str:
        return self.mounts[one.kind.family, one.declaration.mount]

    def body(self) -> dict[str, Json]:
        dynamic = dict(self._dynamic())
        after = list(dict.fromkeys(self._after()))
        return {
            "for_each": f"${{local.{self.local}}}",
            **dict(self._identity()),
            **{name: f"${{{value}}}" for name, value in self._members("")},
            **dict(self._objects()),
            **({"dynamic": dynamic} if dynamic else {}),
            **({"depends_on": after} if after else {}),
            **({"lifecycle": {"create_before_destroy": True}} if self.resource.outlived else {}),
        }

    def _used(self, path: str) -> bool:
        return any(_column(path) in row for row in self.table.values())

    def _identity(self) -> Iterator[tuple[str, str]]:
        one, resource = self.one, self.resource
        if resource.name:
            yield resource.name, f"${{each.value.{resource.name}}}"
        if self._used("namespace"):
            yield "namespace", "${each.value.namespace}"
        if resource.mount and one.declaration.object is None:
            yield resource.mount, f"${{each.value.{resource.mount}}}"
        elif resource.mount:
            type_ = self._mount_type(one)
            yield resource.mount, f"${{{type_}.this[each.value.{resource.mount}].{RESOURCES[type_].mount}}}"

    def _members(self, group: str) -> Iterator[tuple[str, str]]:
        """The arguments of the block itself, or of one group, and their expressions."""
        links = self.one.part.links
        for attribute in self.resource.attributes():
            parent, _, leaf = attribute.terraform.rpartition(".")
            if parent != group or attribute.shape.element:
                continue
            if attribute.terraform in links:
                type_, source = links[attribute.terraform]
                yield leaf, f"{type_}.{label(self.one.tier)}[each.key].{source}"
            elif self._used(attribute.terraform):
                column = f"each.value.{_column(attribute.terraform)}"
                secret = attribute.write_only
                taken = f"local.secrets[{column}]" if secret else self._taken(attribute, column)
                yield leaf, column if taken == column else f"{column} == null ? null : {taken}"
                if secret:
                    yield f"{leaf}_version", f"each.value.{_column(attribute.version)}"

    def _taken(self, attribute: Attribute, column: str) -> str:
        """What a setting says, with each name in it as what the named object has: its id."""
        field, known = attribute.field, self._named(attribute)
        if not known:
            return column
        if not isinstance(field.shape.cty, list):
            return known.format(column)
        open_ = any("*" in (row.get(_column(attribute.terraform)) or ()) for row in self.table.values())
        one = f'one == "*" ? one : {known.format("one")}' if open_ else known.format("one")
        return f"[for one in {column} : {one}]"

    def _named(self, attribute: Attribute) -> str:
        """The expression for one name, with `{}` in its place; empty where a name is what Terraform takes."""
        field = attribute.field
        if field.by and field.names == "auth":
            return f"local.auth_{field.by}[{{}}]"
        one = self.one
        targets = {item.parts[0].resource.type for _, item in named(one.kind, field.names)} if field.by else set()
        type_ = next(iter(targets & self.present.keys()), "")
        key = f'"${{{{each.value.{self.resource.mount}}}}}/${{{{{{}}}}}}"' if one.declaration.mount else "{}"
        return f"{type_}.this[{key}].{field.by}" if type_ else ""

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
            name = attribute.terraform
            if attribute.shape.element and self._used(name):
                yield (
                    name,
                    _nested(name, f"coalesce(each.value.{name}, [])", attribute.shape.element, attribute.shape.filled),
                )


def _nested(name: str, values: str, element: Element, filled: Mapping[str, bool]) -> dict[str, Json]:
    """A block for each of the values, and in it blocks for what they hold."""
    inner = {member: one for member, one in element.items() if isinstance(one, Mapping)}
    said = [member for member in element if member not in inner and not filled.get(member, False)]
    content: dict[str, Json] = {member: f"${{{name}.value.{member}}}" for member in said}
    if inner:
        content["dynamic"] = {
            member: _nested(member, f"{name}.value.{member}", one, {}) for member, one in inner.items()
        }
    return {"for_each": f"${{{values}}}", "content": content}
