"""Every Terraform resource that an environment declares, one by one: what render, drift, adoption and proof walk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.catalog import named
from orchestrator.config.checks import lacks
from orchestrator.declared import Declaration
from orchestrator.documents import Json, Spec, get
from orchestrator.model import Attribute, Kind, Object, Part, Resource, held, inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.declared import Cluster, Environment

    Depths = Mapping[tuple[str, str, str], int]
    Documents = Mapping[str, Mapping[str, Json] | None]  # what each path answers; None: nothing is there


@dataclass(frozen=True)
class Beside:
    """A request that carries secrets past Terraform."""

    title: str
    path: str
    data: Mapping[str, Json]
    secrets: Mapping[str, str]  # by the request's key: how each is called on the way
    versions: Mapping[str, int]  # by the setting's name in the YAML
    always: bool  # sent again whenever Terraform writes the object


@dataclass(frozen=True)
class Instance:
    """One resource of one declaration; `names` fills the templates of its paths."""

    part: Part
    key: str
    declaration: Declaration
    names: Mapping[str, str]
    constants: Mapping[str, Json] = field(default_factory=dict)
    tier: int = 0  # how many of its own type stand below it, which Terraform must make first
    missing: frozenset[str] = frozenset()  # the attributes that the server lacks

    @property
    def resource(self) -> Resource:
        return self.part.resource

    @property
    def kind(self) -> Kind:
        return self.declaration.kind

    @property
    def address(self) -> str:
        return f'{self.resource.type}.{self.block}["{self.key}"]'

    @property
    def block(self) -> str:
        """The name of the Terraform block it stands in."""
        return label(self.tier, self.part.block)

    @property
    def path(self) -> str:
        return self._at(self.resource.path)

    def _at(self, template: str) -> str:
        """A path of the API, seen from the environment's namespace."""
        return f"{self.inside}/{template.format_map(self.names)}".lstrip("/")

    @property
    def inside(self) -> str:
        """The namespace below the environment's in which it stands."""
        one = self.declaration.object
        return self.declaration.name.rpartition("/")[0] if one is not None and one.nested else ""

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """Every path that tells of it, and by which words the server says that nothing is there."""
        resource = self.resource
        if get(self.declaration.spec, resource.unless.get("read", "")):
            return {}
        templates = resource.read_paths if not resource.exists else (resource.exists,)
        templates = (resource.found.path,) if resource.found else templates
        return {self._at(template): resource.gone for template in templates}

    @property
    def exists_path(self) -> str:
        """The path that shows whether it lives; empty when nothing does."""
        return next(iter(self.reads), "")

    def live(self, documents: Documents) -> Mapping[str, Json] | None:
        """What the server holds of it, out of what was read; None where it holds nothing."""
        within = self.resource.within.format_map(self.names)
        found = [held(self.resource, documents.get(path), within) for path in self.reads]
        if not found or found[0] is None:
            return None
        if self.resource.found:
            return inside(self.resource.found, found[0], self.names)
        return {key: value for document in found for key, value in (document or {}).items()}

    def import_id(self, live: Mapping[str, Json]) -> str:
        """By what Terraform imports it; an id that the server made is in its live document."""
        known = {**live, **{one.terraform: get(live, one.api) for one in self.resource.attributes()}, **self.names}
        return (self.resource.import_id or self.resource.identity).format_map(known)

    def is_named(self, kind: Kind, names: str) -> bool:
        """Whether it is what a setting of that kind may name: any auth mount, or objects by the catalogue's word."""
        if names == "auth":
            return self.kind.family == "auth" and self.declaration.object is None
        if (self.kind, self.declaration.object) not in named(kind, names):
            return False
        return self.declaration.object is not None and self.part is self.declaration.object.parts[0]

    def settings(self) -> Iterator[tuple[Attribute, Json]]:
        """Each attribute that is declared, fixed by the kind, or has a default worth stating."""
        for attribute in self.resource.attributes():
            value = self._value(attribute)
            if value is not None and not attribute.field.output:
                yield attribute, value

    def _value(self, attribute: Attribute) -> Json:
        if attribute.terraform in self.constants:
            return self.constants[attribute.terraform]
        if not attribute.field.yaml:
            return None
        said = get(self.declaration.spec, attribute.yaml)
        return self._default(attribute) if said is None else said

    def _default(self, attribute: Attribute) -> Json:
        """What it is where the YAML is silent; nothing for what the server lacks."""
        field = attribute.field
        if attribute.terraform in self.missing:
            return None
        if field.by_name:
            return field.by_name(self.declaration.name)
        if field.default is None and field.otherwise is None:
            return None
        fits = all(_fits(self._beside(name), value) for name, value in field.only.items())
        return field.default if fits else field.otherwise

    def _beside(self, name: str) -> Json:
        said = get(self.declaration.spec, name)
        return self.resource.fields[name].default if said is None and name in self.resource.fields else said

    def secret_key(self, attribute: Attribute) -> str:
        """How a secret is called between the YAML and Terraform: `secrets/database/postgresql/orders#password`."""
        return f"{self.declaration.title}#{attribute.yaml}"

    def secrets(self) -> Iterator[tuple[Attribute, str, int]]:
        """Each write-only attribute: its reference, and the version that sends it again."""
        for attribute in self.resource.secrets:
            if (reference := self._value(attribute)) is not None:
                version = get(self.declaration.spec, f"{attribute.yaml}_version")
                yield attribute, reference, 1 if version is None else version

    @property
    def beside(self) -> Beside | None:
        """What must reach the server past Terraform."""
        write = self.resource.beside
        apart = [(attribute, version) for attribute, _, version in self.secrets() if attribute.field.apart]
        if write is None or not apart:
            return None
        extra = self.declaration.object.extra if self.declaration.object else {}
        said = {name: get(self.declaration.spec, name) for name in extra if name in write.keys}
        return Beside(
            self.declaration.title,
            self._at(write.path),
            {**write.data, **{name: extra[name].default if value is None else value for name, value in said.items()}},
            {attribute.key: variable(self.secret_key(attribute)) for attribute, _ in apart},
            {attribute.yaml: version for attribute, version in apart},
            "update" in write.on,
        )


def variable(key: str) -> str:
    """The Terraform variable that brings a secret in; its environment variable is `TF_VAR_` and this."""
    return f"secret_{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _fits(said: Json, wanted: Json) -> bool:
    """Whether a setting has the wanted value, or one of a tuple of them."""
    return said in wanted if isinstance(wanted, tuple) else bool(said == wanted)


def instances(environment: Environment, namespace: str | None = None) -> tuple[Instance, ...]:
    """`namespace` is the one it lives in, as the server calls it: the environment's, unless that stands in another."""
    place = environment.namespace if namespace is None else namespace
    within = f"{place.strip('/')}/" if place else ""
    declarations = tuple(_with_defaults(environment))
    depths = _depths(declarations)
    found = [one for declaration in declarations for one in _of(declaration, within, depths)]
    missing = {id(one.resource): one.resource for one in found}
    lacking = {key: _missing(resource, environment.cluster) for key, resource in missing.items()}
    return tuple(replace(one, missing=lost) if (lost := lacking[id(one.resource)]) else one for one in found)


def _missing(resource: Resource, cluster: Cluster) -> frozenset[str]:
    return frozenset(one.terraform for one in resource.attributes() if lacks(one.field.absent, cluster))


def _with_defaults(environment: Environment) -> Iterator[Declaration]:
    """The declarations, and the settings objects that reset to their defaults where the YAML is silent."""
    said = {(one.kind.id, one.mount, one.object.key) for one in environment.declarations if one.object}
    for declaration in environment.declarations:
        yield declaration
        if declaration.object is None:
            for silent in declaration.kind.objects:
                there = silent.always and not lacks(silent.absent, environment.cluster)
                if there and (declaration.kind.id, declaration.mount, silent.key) not in said:
                    yield Declaration(declaration.kind, silent, declaration.mount, "", {}, declaration.where)


def _depths(declarations: Iterable[Declaration]) -> Depths:
    """How many of its own sort each object stands on, one on the other, by the mounts that its parts name."""
    known = {
        (one.kind.id, one.mount, one.object.key): one
        for one in declarations
        if one.object and any(part.mount for part in one.object.parts)
    }
    return {key: _depth(one, known) for key, one in known.items()}


def _depth(one: Declaration, known: Mapping[tuple[str, str, str], Declaration]) -> int:
    key = one.object.key if one.object else ""
    mounts = [get(one.spec, part.mount) for part in (one.object.parts if one.object else ()) if part.mount]
    below = [known[one.kind.id, mount, key] for mount in mounts if (one.kind.id, mount, key) in known]
    return max((1 + _depth(each, known) for each in below), default=0)


def label(tier: int, block: str = "this") -> str:
    """The name of the Terraform block that holds the objects of a tier."""
    return f"{block}_{tier}" if tier else block


def _of(declaration: Declaration, within: str, depths: Depths) -> Iterator[Instance]:
    one = declaration.object
    if one is None:
        yield _mount(declaration)
        return
    tier = depths.get((declaration.kind.id, declaration.mount, one.key), 0)
    for part in one.parts:
        if not part.when or get(declaration.spec, part.when) is not None:
            found = _instance(declaration, one, part)
            found = replace(found, names={**found.names, "within": within}) if part.resource.found else found
            yield replace(found, tier=tier) if tier else found


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
    names |= {"object": declaration.name, **{name: str(value) for name, value in resource.constants.items()}}
    key = "/".join(word for word in (declaration.mount, "" if one.single else declaration.name) if word) or one.key
    if one.nested:
        return _nested(Instance(part, key, declaration, names, resource.constants))
    return Instance(part, key, declaration, {**_scalars(declaration.spec, resource), **names}, resource.constants)


def _nested(one: Instance) -> Instance:
    """An object in the namespace that its name leads to."""
    names = {**one.names, one.resource.name: one.declaration.name.rpartition("/")[2]}
    return replace(one, names=names, tier=one.declaration.name.count("/"))


def _scalars(spec: Spec, resource: Resource) -> dict[str, str]:
    """The settings that are texts, by their own names and by Terraform's."""
    said = {**spec, **{one.terraform: spec.get(one.yaml) for one in resource.attributes()}}
    return {name: value for name, value in said.items() if isinstance(value, str)}
