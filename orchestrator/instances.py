"""Every Terraform resource that an environment declares, one by one: what render, drift, adoption and proof walk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.declared import Declaration
from orchestrator.model import Attribute, Json, Kind, Object, Part, Resource, Spec, get

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Environment


@dataclass(frozen=True)
class Instance:
    """One resource of one declaration; `names` fills the templates of its paths."""

    part: Part
    key: str
    declaration: Declaration
    names: Mapping[str, str]
    constants: Mapping[str, Json] = field(default_factory=dict)

    @property
    def resource(self) -> Resource:
        return self.part.resource

    @property
    def kind(self) -> Kind:
        return self.declaration.kind

    @property
    def address(self) -> str:
        return f'{self.resource.type}.this["{self.key}"]'

    @property
    def path(self) -> str:
        return self.resource.path.format_map(self.names)

    @property
    def exists_path(self) -> str:
        """The path that shows whether it lives; empty when nothing does."""
        templates = (self.resource.exists, *self.resource.read_paths)
        return next((template for template in templates if template), "").format_map(self.names)

    @property
    def import_id(self) -> str:
        return (self.resource.import_id or self.resource.identity).format_map(self.names)

    def settings(self) -> Iterator[tuple[Attribute, Json]]:
        """Each attribute that is declared, fixed by the kind, or has a default worth stating."""
        for attribute in self.resource.attributes():
            value = self._value(attribute)
            if value is not None and not attribute.field.output:
                yield attribute, value

    def _value(self, attribute: Attribute) -> Json:
        if attribute.terraform in self.constants:
            return self.constants[attribute.terraform]
        said = get(self.declaration.spec, attribute.yaml) if attribute.field.yaml else None
        if said is None and attribute.field.yaml:
            return attribute.field.default
        return said

    def secret_key(self, attribute: Attribute) -> str:
        """How a secret is called between the YAML and Terraform: `secrets/database/postgresql/orders#password`."""
        return f"{self.declaration.title}#{attribute.yaml}"

    def secrets(self) -> Iterator[tuple[Attribute, str, int]]:
        """Each write-only attribute: its reference, and the version that sends it again."""
        for attribute, reference in self.settings():
            if attribute.field.secret:
                version = get(self.declaration.spec, f"{attribute.yaml}_version")
                yield attribute, reference, 1 if version is None else version


def instances(environment: Environment) -> tuple[Instance, ...]:
    return tuple(one for declaration in _with_defaults(environment) for one in _of(declaration))


def _with_defaults(environment: Environment) -> Iterator[Declaration]:
    """The declarations, and the settings objects that reset to their defaults where the YAML is silent."""
    said = {(one.kind.name, one.mount, one.object.key) for one in environment.declarations if one.object}
    for declaration in environment.declarations:
        yield declaration
        if declaration.object is None:
            for silent in declaration.kind.objects:
                if silent.always and (declaration.kind.name, declaration.mount, silent.key) not in said:
                    yield Declaration(declaration.kind, silent, declaration.mount, "", {}, declaration.where)


def _of(declaration: Declaration) -> Iterator[Instance]:
    if declaration.object is None:
        yield _mount(declaration)
    else:
        yield from (_instance(declaration, declaration.object, part) for part in declaration.object.parts)


def _mount(declaration: Declaration) -> Instance:
    kind = declaration.kind
    if kind.mount is None:
        raise TypeError(f"{kind.name} has no mount")
    constants = {"type": kind.type, **({"options": kind.options} if kind.options else {})}
    names = {kind.mount.mount: declaration.mount, "type": kind.type}
    return Instance(Part(kind.mount), declaration.mount, declaration, names, {**kind.mount.constants, **constants})


def _instance(declaration: Declaration, one: Object, part: Part) -> Instance:
    resource = part.resource
    on = str(get(declaration.spec, part.mount)) if part.mount else declaration.mount
    names = {name: text for name, text in ((resource.mount, on), (resource.name, declaration.name)) if name}
    names |= {name: str(value) for name, value in resource.constants.items()}
    key = "/".join(word for word in (declaration.mount, "" if one.single else declaration.name) if word)
    return Instance(part, key, declaration, {**_scalars(declaration.spec), **names}, resource.constants)


def _scalars(spec: Spec) -> dict[str, str]:
    return {name: value for name, value in spec.items() if isinstance(value, str)}
