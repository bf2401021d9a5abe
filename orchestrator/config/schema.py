"""The JSON schemas of an environment, made from the catalogue: to validate with, and for editors to complete with."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.catalog import FAMILIES, SYSTEM
from orchestrator.config.clusters import CLUSTER
from orchestrator.config.described import RAISE_IT, remarks, shown
from orchestrator.config.files import pattern
from orchestrator.config.words import A_REFERENCE, A_SIGNER, MAP_OF_SETTINGS, MAP_TO_SETTINGS, SECRET, SEED, closed
from orchestrator.documents import Json, get

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.model import Field, Kind, Object

Schema = dict[str, Json]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOUNTED = ("auth", "secrets")
_TEXT = {"type": "string"}
_FIELDS = "a map from field to {generate: N} or a reference"
_HEAD: Schema = {
    "environment": {**_TEXT, "pattern": "^[a-z0-9][a-z0-9-]*$", "description": "the name of this file"},
    "extends": {**_TEXT, "pattern": "^[^/]+[.]yaml$", "description": "the name of a file beside this one"},
    "cluster": {**_TEXT, "pattern": "^[a-z0-9][a-z0-9-]*$", "description": "the name of a file in clusters/"},
    "namespace": {**_TEXT, "pattern": "^([^/\\s]+(/[^/\\s]+)*)?$", "description": "a path such as team-a"},
    "owner": {**_TEXT, "description": "the name of a team"},
    "on_revoke": {
        "type": ["object", "null"],
        "additionalProperties": {
            "type": "array",
            "minItems": 1,
            "items": {**_TEXT, "minLength": 1, "description": "a word of a command"},
            "description": "a list that begins with a program",
            "examples": [["deploy/new-secret-id", "payments"]],
        },
        "description": "a map from an object's title to the command that replaces it after an incident",
    },
    "approvals": {"type": "integer", "enum": [1, 2], "description": "1 or 2: how many people a revocation asks for"},
    "evidence": closed({"sign": A_SIGNER}, MAP_OF_SETTINGS),
}


@cache
def sections() -> dict[str, Kind]:
    """The system kinds that are written in YAML; a kind with HCL text has files of its own."""
    return {name: kind for name, kind in SYSTEM.items() if not kind.in_files}


def _field(kind: Kind, one: Field, examples: list[Json]) -> Schema:
    """The schema of a setting; `$comment` is what `_told` adds to its description for editors."""
    form = (
        {**SECRET, "description": A_REFERENCE}
        if one.secret
        else {**one.shape.schema, "description": one.shape.expected}
    )
    if one.file:
        form |= {"pattern": pattern(form), "description": f"{one.shape.expected}, or file:PATH"}
    told = [*([f"Default: {shown(one.default)}"] if one.default is not None else []), *remarks(kind, one)]
    return {
        **form,
        **({"writeOnly": True} if one.sensitive else {}),
        **({"default": one.default} if one.default is not None else {}),
        **({"examples": examples} if examples else {}),
        **({"$comment": ". ".join(told)} if told else {}),
    }


def _properties(
    kind: Kind, settings: Mapping[str, Field], examples: Iterable[Json], required: Iterable[str] = ()
) -> Schema:
    """The schemas of settings; a dotted name stands in the map of its group."""
    found: Schema = {}
    for name, one in settings.items():
        *groups, leaf = name.split(".")
        inner = found
        for group in groups:
            held = [must.removeprefix(f"{group}.") for must in required if must.startswith(f"{group}.")]
            inner = inner.setdefault(group, closed({}, MAP_OF_SETTINGS, held))["properties"]
        said = [value for example in examples if (value := get(example, name)) is not None]
        inner[leaf] = _field(kind, one, said[:1])
        if one.secret:
            inner[f"{leaf}_version"] = {"type": "integer", "minimum": 1, "default": 1, "description": RAISE_IT}
    return found


def _object(kind: Kind, one: Object) -> Schema:
    if one.seed:
        fields = {"type": "object", "minProperties": 1, "additionalProperties": SEED, "description": _FIELDS}
        return {"type": ["object", "null"], "additionalProperties": fields, "description": "a map from path to fields"}
    with_ = f" with {' and '.join(one.required)}" if one.required else ""
    settings = closed(_properties(kind, one.settings, _examples(kind, one)), MAP_OF_SETTINGS + with_, one.required)
    if not one.required:
        settings["type"] = ["object", "null"]
    if one.single:
        return settings
    return {"type": ["object", "null"], "additionalProperties": settings, "description": MAP_TO_SETTINGS}


def _examples(kind: Kind, one: Object) -> list[Json]:
    """The example's objects under a key."""
    said = kind.example if kind.is_one else kind.example.get(one.key) or {}
    return [said] if one.single else list(said.values())


@cache
def kind_schema(kind_family: str, name: str) -> Schema:
    """The schema of one mount, or of all objects of a system kind."""
    kind = FAMILIES[kind_family][name]
    objects = {one.key: _object(kind, one) for one in kind.objects}
    if kind.is_one:
        return objects[kind.name]
    if not kind.mount:
        return {**closed(objects, kind.summary, kind.required), "type": ["object", "null"]}
    properties = {
        "type": {"const": kind.name, "description": kind.name},
        **_properties(kind, kind.mount.settings, [kind.example], kind.required),
        **objects,
    }
    return closed(properties, kind.summary, ("type", *(name for name in kind.required if "." not in name)))


def _mounts(kinds: Iterable[str], more: Schema) -> Schema:
    names = sorted(kinds)
    mount = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": names, "description": "one of " + ", ".join(names)}},
        "description": "a map: `type` and its settings",
        **more,
    }
    return {"type": ["object", "null"], "additionalProperties": mount, "description": "a map from mount path to mount"}


@cache
def environment_schema() -> Schema:
    """The outer levels; what stands in a mount or a section is validated by its kind's schema."""
    families = {family: _mounts(FAMILIES[family], {}) for family in MOUNTED}
    systems = {name: {"type": ["object", "null"], "description": MAP_TO_SETTINGS} for name in sections()}
    return closed({**_HEAD, **families, **systems}, MAP_OF_SETTINGS, ("environment", "cluster"))


def _dispatch(family: str) -> Schema:
    return {
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{family}.{name}"},
            }
            for name in FAMILIES[family]
        ]
    }


def _for_editors(title: str, schema: Schema) -> str:
    head = {"$schema": DRAFT, "$comment": "Generated by `invoke docs`; do not edit.", "title": title}
    return json.dumps({**head, **schema}, indent=1, ensure_ascii=False) + "\n"


def _partial(schema: Json) -> Json:
    """The schema for a file that may be merged over another: nothing is required, and null removes."""
    if isinstance(schema, list):
        return [_partial(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: _inner(key, one) for key, one in schema.items() if key != "required"}
    return _told(_nullable(loose))


def _inner(key: str, value: Json) -> Json:
    if key in {"properties", "$defs"}:
        return {name: _partial(one) for name, one in value.items()}
    return _partial(value) if key in {"additionalProperties", "items", "allOf", "then"} else value


def _told(schema: Schema) -> Schema:
    """With everything that an editor can show in the description, which messages keep short."""
    more = schema.pop("$comment", "")
    return {**schema, "description": f"{schema['description']}. {more}"} if more else schema


def _nullable(schema: Schema) -> Schema:
    kinds = schema.get("type")
    if isinstance(kinds, str | list) and "null" not in kinds:
        schema["type"] = [*([kinds] if isinstance(kinds, str) else kinds), "null"]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema


def schemas() -> dict[str, str]:
    """The files of `vault-config/schema/` and their text."""
    families = {family: _mounts(FAMILIES[family], _dispatch(family)) for family in MOUNTED}
    systems = {name: {"$ref": f"#/$defs/system.{name}"} for name in sections()}
    environment = closed({**_HEAD, **families, **systems}, MAP_OF_SETTINGS)
    kinds = [("system", name) for name in sections()] + [(one, name) for one in MOUNTED for name in FAMILIES[one]]
    environment["$defs"] = {f"{family}.{name}": kind_schema(family, name) for family, name in kinds}
    return {
        "environment.json": _for_editors("An environment of Strongroom", _partial(environment)),
        "cluster.json": _for_editors("A cluster of Strongroom", CLUSTER),
    }
