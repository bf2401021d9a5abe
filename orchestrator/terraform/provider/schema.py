"""A catalogue's resource as Terraform's schema: the same names, types and nesting as the official provider's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.terraform.provider.contract import Attribute, Block, NestedBlock, ResourceSchema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator import documents, model, shapes

_TEXTS = ("address", "token", "namespace", "ca_cert_file", "ca_cert_dir", "tls_server_name")
_FLAGS = ("skip_tls_verify", "skip_child_token")
PROVIDER = Block(
    (
        *(Attribute(name, "string", optional=True) for name in _TEXTS),
        *(Attribute(name, "bool", optional=True) for name in _FLAGS),
    )
)


def resource_schema(resource: model.Resource) -> ResourceSchema:
    grouped: dict[str, list[Attribute]] = defaultdict(list)
    blocks = []
    for attribute in resource.attributes():
        group, _, name = attribute.terraform.rpartition(".")
        if attribute.shape.element:
            block = _element(attribute.shape.element, attribute.shape.filled)
            blocks.append(NestedBlock(name, block, "set", max_items=attribute.shape.most))
        else:
            grouped[group].extend(_attributes(attribute, name))
    top = [*_identity(resource), *grouped.pop("", [])]
    for group, members in grouped.items():
        if resource.groups[group] == "block":
            blocks.append(NestedBlock(group, Block(tuple(members)), "list", max_items=1))
        else:
            top.append(Attribute(group, ["list", Block(tuple(members)).type], optional=True, computed=True))
    return ResourceSchema(Block(_sorted(top), tuple(blocks)), resource.version)


def _sorted(attributes: Iterable[Attribute]) -> tuple[Attribute, ...]:
    return tuple(sorted(attributes, key=lambda attribute: attribute.name))


def _identity(resource: model.Resource) -> Iterator[Attribute]:
    if resource.has_id:
        yield Attribute("id", "string", optional=resource.takes_id, computed=True)
    if resource.has_namespace:
        yield Attribute("namespace", "string", optional=True)
    if resource.mount:
        given = not resource.mount_default
        computed = resource.mount_default.startswith("{")
        yield Attribute(resource.mount, "string", required=given, optional=not given, computed=computed)
    if resource.name:
        given = not resource.name_default
        yield Attribute(resource.name, "string", required=given, optional=not given, computed=not given)


def _element(element: shapes.Element, filled: Mapping[str, bool]) -> Block:
    attributes = [
        Attribute(
            name,
            cty,
            required=must,
            optional=not must and not filled.get(name, False),
            computed=name in filled,
        )
        for name, (cty, must) in _plain(element)
    ]
    nested = [NestedBlock(name, _element(one, {}), "set") for name, one in element.items() if isinstance(one, Mapping)]
    return Block(tuple(attributes), tuple(nested))


def _plain(element: shapes.Element) -> Iterator[tuple[str, tuple[documents.Json, bool]]]:
    return ((name, one) for name, one in element.items() if isinstance(one, tuple))


def _attributes(attribute: model.Attribute, name: str) -> Iterator[Attribute]:
    field = attribute.field
    given = not field.output
    yield Attribute(
        name,
        field.shape.cty,
        required=given and field.required,
        optional=given and not field.required,
        computed=field.output or field.computed,
        sensitive=field.sensitive,
        write_only=attribute.write_only or field.unversioned,
    )
    if attribute.write_only:
        yield Attribute(f"{name}_version", "number", required=field.required, optional=not field.required)
