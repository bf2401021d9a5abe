"""The words every other module speaks: limits, fields, resources, objects, kinds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.documents import get
from orchestrator.shapes import HCL, Shape

if TYPE_CHECKING:
    from orchestrator.documents import Json, Spec


@dataclass(frozen=True)
class Limit:
    """What is safe for a setting: `validate` warns of a value that `holds` refuses, and says the reason.

    A comment on the value's line accepts it: `# strongroom: allow <rule> because <reason>`.
    """

    rule: str
    holds: Callable[[Json], bool]
    reason: str


@dataclass(frozen=True)
class Field:
    """One setting. `terraform` and `api` are dotted paths, given where they differ from its YAML name.

    `default` is rendered where the YAML is silent; `official` is the provider's own, where ours is the safer one.
    `computed` says that the server fills it in, `output` that only the server does; `replace` that a change makes a new
    object; `absent` names servers that lack it, with the way out.
    """

    shape: Shape
    terraform: str = ""
    api: str = ""
    default: Json = None
    official: Json = None
    required: bool = False
    computed: bool = False
    output: bool = False
    sent: str = ""  # what a request calls it, where an answer calls it otherwise
    lasting: bool = False  # once said, the server never takes it back
    secret: bool = False
    resent: bool = False  # a secret that the server drops, or asks for, where a write does not carry it
    unversioned: bool = False  # write-only without a version that would send it again: nothing here renders it
    apart: bool = False  # a secret that the provider would keep in the state: it goes by its resource's `beside`
    sensitive: bool = False
    readable: bool = True
    replace: bool = False
    yaml: bool = True
    whole: bool = False  # the value stands for everything the API holds at the path
    names: str = ""  # what the value must name: see `config/references.py`
    prefix: str = ""  # what stands before a name in its text; a text without it names nothing
    besides: tuple[str, ...] = ()  # what it may hold though nobody declares it: the server's own
    by: str = ""  # the attribute of what it names that Terraform and the API take in place of the name: an id
    unsaid: bool = False  # where the YAML is silent, whatever the server holds is right
    only: Mapping[str, Json] = field(default_factory=dict)  # has a default only beside these values of other settings
    fits: Mapping[str, Json] = field(default_factory=dict)  # may be written only beside these values of other settings
    whose: Mapping[str, Json] = field(default_factory=dict)  # what the object that it names must say
    otherwise: Json = None  # its default beside other values than those
    by_name: Callable[[str], Json] | None = None  # makes its default of the object's own name
    file: bool = False  # may be written as `file:PATH`, whose text it takes; it is no secret
    limit: Limit | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # values of it that some servers lack


Fields = Mapping[str, Field]


def in_yaml(fields: Fields) -> dict[str, Field]:
    """The settings that a person may write."""
    return {name: one for name, one in fields.items() if one.yaml and not one.output}


@dataclass(frozen=True)
class Attribute:
    """A field under its resolved names: `yaml`, `terraform` and `api` are full dotted paths."""

    yaml: str
    terraform: str
    api: str
    field: Field

    @property
    def shape(self) -> Shape:
        return self.field.shape

    @property
    def key(self) -> str:
        """What a request's body calls it."""
        return self.field.sent or self.api.rpartition(".")[2]

    @property
    def write_only(self) -> bool:
        """Whether Terraform takes it and forgets it."""
        return self.field.secret and not self.field.apart

    @property
    def version(self) -> str:
        """The attribute whose change sends a write-only value again."""
        return f"{self.terraform}_version"


@dataclass(frozen=True)
class Found:
    """Where a live object shows whose path holds an id that only the server knows.

    A path that ends in `/` is a list. `inside` leads to the object in the answer: to itself, to one of a list or of a
    map of them; `match` tells which, by templates over the YAML's settings, in a `Write` over the attributes.
    """

    path: str
    inside: str = ""
    match: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Write:
    """One request of a create or an update: the path, and which settings it carries; none: all.

    They are named by API key; by the whole path in an answer where two settings have the same key.
    """

    path: str
    keys: tuple[str, ...] = ()
    on: tuple[str, ...] = ("create", "update")
    method: str = "POST"
    always: bool = False  # sent even when it carries nothing
    data: Mapping[str, Json] = field(default_factory=dict)  # what it carries besides; texts are templates
    form: Callable[[dict[str, Json]], dict[str, Json]] | None = None  # makes of the settings what the API wants
    follows: bool = False  # sent after another that was, to put it into effect: it carries `data` alone
    once: bool = False  # a second one makes another, is refused or tells less: not repeated blindly after a lost answer
    made: Found | None = None  # where what it made shows, when the answer that told its id is lost


@dataclass(frozen=True)
class Resource:
    """One Terraform resource type, and the API that stands behind it.

    Paths are templates over its own attributes: `auth/{backend}/role/{role_name}`.
    `adopt` says what becomes of one that lives already: "import" it, "create" over it, or "leave" it as it stands.
    """

    type: str
    path: str
    fields: Fields
    mount: str = ""  # the attribute that names the mount
    name: str = ""  # the attribute that names the object
    mount_default: str = ""
    version: int = 0
    id: str = ""
    import_id: str = ""
    has_id: bool = True
    takes_id: bool = True  # whether Terraform lets a person write the id
    has_namespace: bool = True
    name_default: str = ""  # what Terraform takes where the name is not written
    writes: tuple[Write, ...] = ()
    beside: Write | None = None  # what carries the secrets that Terraform must not hold, after its own such writes
    reads: tuple[str, ...] | None = None
    exists: str = ""  # where a live one shows, when that is not the first read
    within: str = ""  # the key under which an answer holds it
    flag: str = ""  # what is false in an answer that says that there is none
    found: Found | None = None  # where the live one is, when its path cannot be told from the YAML
    delete: Write | None = None
    leases: str = ""  # what it gave out is revoked before it goes: the leases' prefix
    encloses: str = ""  # the namespace that goes with it, and everything inside
    loses: str = ""  # what is lost for good with it, as half a sentence
    guard: str = ""  # the flag without which the server deletes none
    kept: bool = False  # destroying it sends nothing: its mount takes it along, or its defaults stay
    gone: tuple[str, ...] = ()  # words by which the server refuses where there is none
    adopt: str = "import"
    after: tuple[str, ...] = ()  # resource types that must stand first
    after_mounts: bool = False  # every mount must stand first
    outlived: bool = False  # what names it is moved on before it goes, as the server would take that along
    constants: Mapping[str, Json] = field(default_factory=dict)
    item: str = ""  # it is one item of this list, which stands at its path
    unless: Mapping[str, str] = field(default_factory=dict)  # "read" or "delete": the flag that leaves it out
    groups: Mapping[str, str] = field(default_factory=dict)  # dotted names' parents: "block" or "attribute"
    variants: tuple[Resource, ...] = ()  # the resources of one type, each told by its constants, that this one unites
    through: Resource | None = None  # the one that writes it: its settings become the first field there, one document

    @cached_property
    def _attributes(self) -> tuple[Attribute, ...]:
        bare = {yaml: yaml.rpartition(".")[2] for yaml in self.fields}
        return tuple(
            Attribute(yaml, one.terraform or bare[yaml], one.api or bare[yaml], one)
            for yaml, one in self.fields.items()
        )

    def attributes(self) -> tuple[Attribute, ...]:
        return self._attributes

    @cached_property
    def settings(self) -> dict[str, Field]:
        return in_yaml(self.fields)

    @cached_property
    def secrets(self) -> tuple[Attribute, ...]:
        """The write-only ones."""
        return tuple(one for one in self._attributes if one.field.secret)

    def variant(self, *tellers: Callable[[Attribute], Json]) -> Resource:
        """The one of its variants whose constants the first teller that knows tells of an object, else the one in whose
        groups the last has something, else one without constants; itself when there are none.
        """
        every = {name for one in self.variants for name in one.constants}
        names = {name for name in every if all(name in one.constants for one in self.variants)} or every
        told = [one for teller in tellers for one in self.variants if one.is_of(teller, names)]
        shown = [one for one in self.variants if one.is_shown(tellers[-1])]
        plain = [one for one in self.variants if not one.constants]
        return (*told, *shown, *plain, *self.variants, self)[0]

    def is_of(self, value_of: Callable[[Attribute], Json], names: Collection[str]) -> bool:
        """Whether what is told of an object shows some of its constants by these names, and denies none."""
        known = {attribute.terraform: attribute for attribute in self.attributes()}
        told = [(value_of(known[name]), self.constants.get(name)) for name in names if name in known]
        some = [(found, value) for found, value in told if found is not None]
        return bool(some) and all(found == value for found, value in some)

    def is_shown(self, value_of: Callable[[Attribute], Json]) -> bool:
        """Whether an object has something in a group of its own."""
        return any(
            value_of(attribute) is not None
            for attribute in self.attributes()
            if attribute.terraform.partition(".")[0] in self.groups
        )

    @property
    def identity(self) -> str:
        return self.id or self.path

    @property
    def read_paths(self) -> tuple[str, ...]:
        return (self.path,) if self.reads is None else self.reads


@dataclass(frozen=True)
class Part:
    """A resource an object renders to, and which attributes come from its siblings: {attribute: (type, attribute)}."""

    resource: Resource
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    mount: str = ""  # the YAML setting that names another mount to stand on
    when: str = ""  # the YAML setting without which there is none
    block: str = "this"  # the Terraform block it stands in


@dataclass(frozen=True)
class Waits:
    """What a person has to do outside, with an output of its first part, till one of `until` is written."""

    until: tuple[str, ...]
    output: str
    words: str


@dataclass(frozen=True)
class Gives:
    """What an object gives out that a thief could use, and how an incident ends each; texts are templates.

    They speak of {mount}, {name} and {id}, and of the live object's own settings by name: {role_id}. A token is told by
    what the server says of it, all else stands in a list.
    """

    what: str  # what people call one
    says: Mapping[str, str] = field(default_factory=dict)  # of a token, by dotted path in its lookup; `*` ends a prefix
    list: str = ""  # where the server lists them
    id: str = "{key}"  # its id by its key in the list
    end: Write | None = None  # the request that ends one
    by_value: Write | None = None  # the request that finds one by its own value, {id}
    by_value_id: str = ""  # what its answer calls the id
    look: Write = Write("")  # the request whose answer tells whether one lives
    gone: tuple[str, ...] = ()  # words by which that request is refused where there is none
    flag: str = ""  # what that answer holds, not empty and not false, of one that is dead
    fits: str = (
        ""  # where the list holds others' too, what tells by that answer which may be its own: `module:function`
    )
    then: Write | None = None  # the request that puts the ends into effect, sent once after the last of them
    proof: str = ""  # what tries a dead one again, besides looking: `module:function`
    stays: str = ""  # why none can be ended, as half a sentence
    unkept: Mapping[str, Json] = field(default_factory=dict)  # settings with which the server keeps nothing of one
    lasts: tuple[str, ...] = ()  # the settings that say how long such a one lives
    instead: str = ""  # how such a one is ended
    untold: str = ""  # why the server does not tell which they are, and what to do, as half a sentence
    where: Callable[[Spec], bool] = field(default=lambda _: True)  # of which live objects all this is so
    telling: tuple[str, str, str] = ("", "", "")  # at which path which setting must hold which word for it to be told
    held: Mapping[str, str] = field(default_factory=dict)  # what a rate-limit quota names to hold new ones back


@dataclass(frozen=True)
class Renew:
    """How what an object holds, or gives out, is replaced by something new; texts are templates as in `Gives`."""

    what: str  # what people call it
    write: Write
    ends: bool = False  # it is what makes the old one useless, and so a part of the cut
    alone: bool = False  # but only where the object itself is named, never as one of its mount
    wrapped: bool = False  # the answer is the new one: it goes out wrapped
    held: str = ""  # where the server tells the present one
    stamp: tuple[str, str] = ("", "")  # where the server tells when it was last done: a path, and where in its answer
    stops: str = ""  # what no longer works then, as half a sentence
    warns: str = ""  # what must be known before, as a sentence


@dataclass(frozen=True)
class Object:
    """What stands under one YAML key of a kind: many objects by name, or a single one."""

    key: str
    parts: tuple[Part, ...] = ()
    single: bool = False
    required: tuple[str, ...] = ()
    list: str = ""  # where the server lists them, for what is not declared
    table: str | None = None  # the list is read: where in the answer the names stand, empty for the whole of it
    ignore: frozenset[str] = frozenset()  # names the server makes by itself; `*` stands for anything
    one_of: tuple[tuple[str, ...], ...] = ()  # settings of which only one may be written
    needs: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # what the mount must say: a key, and words in it
    waits: Waits | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    lower: bool = False  # the server lower-cases their names
    header: bool = False  # the server writes their names as HTTP headers: `X-Custom`
    root: bool = False  # the server has them in the root namespace only
    policy: bool = False  # a token's policies may name them
    cased: str = ""  # the mount's flag under which it leaves them as they are
    also: str = ""  # what their names may hold besides letters, digits and _ . -
    nested: bool = False  # a name may be a path, whose parents are namespaces that must stand first
    reserved: frozenset[str] = frozenset()  # names that the server keeps for itself
    seed: bool = False  # secrets that must exist: written where there is none, by the tool and not by Terraform
    gives: tuple[Gives, ...] = ()  # what it gives out that an incident ends
    shut: Mapping[str, Json] = field(default_factory=dict)  # the settings with which it gives out nothing more
    shut_only: Mapping[str, Spec] = field(default_factory=dict)  # of these, those that go beside other settings alone
    renew: Renew | None = None  # how what leaked of it is replaced
    witness: str = ""  # what asks the system behind the server which accounts live: `module:function`
    merges: bool = False  # a write changes what it carries, and leaves alone what it does not
    open: str = ""  # what still comes out of it, shut or not, as half a sentence
    alias: str = ""  # the template of the name by which identity knows who logs in by it, where that is its own
    always: bool = False  # rendered with its defaults where the YAML is silent, so that removing it resets it
    extra: Fields = field(default_factory=dict)  # YAML settings that no resource takes (a part's `mount`)

    @cached_property
    def fields(self) -> dict[str, Field]:
        merged = {name: one for part in self.parts for name, one in part.resource.fields.items() if one.yaml}
        return {**merged, **self.extra}

    @cached_property
    def settings(self) -> dict[str, Field]:
        return in_yaml(self.fields)


@dataclass(frozen=True)
class Leak:
    """Who finds what hangs on a thing of a kind that a flag of `revoke` names; functions are `module:function`."""

    scope: str
    proofs: tuple[str, ...]  # the classes of credentials that it may find, each of which is proven dead
    pin: str = ""  # makes of what was said what means the same when it is said again later
    needs: tuple[Write, ...] = ()  # the requests that it takes, but for those that would read what is secret


@dataclass(frozen=True)
class Kind:
    """One type of auth method, secrets engine or system object; everything else is generic over it."""

    name: str
    family: str  # "auth", "secrets" or "system"
    summary: str
    objects: tuple[Object, ...]
    example: Spec  # one declaration that works
    mount: Resource | None = None
    engine: str = ""  # the server's name of the type, where it differs
    options: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()  # settings of the mount by dotted path, and keys of objects
    one_of: tuple[tuple[str, ...], ...] = ()  # keys of objects of which only one may be written
    absent: Mapping[str, str] = field(default_factory=dict)
    root: bool = False  # the server has one of it, in the root namespace
    canary: str = ""  # what proves after an apply that its objects work: `module:function`
    leaks: Mapping[str, Leak] = field(default_factory=dict)  # what of it may leak that is no object, by flag
    account: str = ""  # what tells whose an account in a system behind a mount is, by its name: `module:function`
    shut: Write | None = None  # what shuts a whole mount at once
    inward: bool = False  # an engine that acts on nothing but the server: no lease or rotation reaches another system

    @property
    def type(self) -> str:
        return self.engine or self.name

    @property
    def id(self) -> str:
        """Its name among all families: an auth method and a secrets engine may be called the same."""
        return f"{self.family}/{self.name}"

    @property
    def in_files(self) -> bool:
        """Whether its objects are HCL files of their own."""
        return any(one.shape is HCL for thing in self.objects for one in thing.fields.values())

    @property
    def is_one(self) -> bool:
        """Whether its section of the YAML holds its only objects, and not maps of several sorts of them."""
        return not self.mount and [one.key for one in self.objects] == [self.name]

    @property
    def family_path(self) -> str:
        """The first word of what people call its objects: `auth`, `secrets`, or the system kind's own name."""
        return self.name if self.family == "system" else self.family


def held(resource: Resource, answer: Mapping[str, Json] | None, within: str) -> Mapping[str, Json] | None:
    """The object in what its path answers; None where the answer says that there is none."""
    found = answer if answer is None or not within else answer.get(within)
    return None if found is None or (resource.flag and not found.get(resource.flag)) else found


def inside(found: Found, document: Mapping[str, Json], names: Mapping[str, str]) -> Mapping[str, Json] | None:
    """The object in a document that holds it, alone or among others; None where it does not."""
    holder = get(document, found.inside) if found.inside else document
    several = holder if isinstance(holder, list) else [holder, *(holder.values() if isinstance(holder, dict) else ())]
    wanted = {name: template.format_map(names) for name, template in found.match.items()}
    return next(
        (one for one in several if isinstance(one, dict) and all(one.get(key) == wanted[key] for key in wanted)),
        None,
    )
