"""The JSON schemas of an environment, made from the catalogue: to validate with, and for editors to complete with."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.catalog import FAMILIES, SYSTEM
from orchestrator.config.clusters import CLUSTER
from orchestrator.config.files import pattern
from orchestrator.config.words import A_REFERENCE, MAP_OF_SETTINGS, MAP_TO_SETTINGS, SECRET, closed
from orchestrator.model import HCL, Field, Json, Kind, Object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Schema = dict[str, Json]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOUNTED = ("auth", "secrets")
_TEXT = {"type": "string"}
_HEAD: Schema = {
    "environment": {**_TEXT, "pattern": "^[a-z0-9][a-z0-9-]*$", "description": "the name of this file"},
    "extends": {**_TEXT, "pattern": "^[^/]+[.]yaml$", "description": "the name of a file beside this one"},
    "cluster": {**_TEXT, "pattern": "^[a-z0-9][a-z0-9-]*$", "description": "the name of a file in clusters/"},
    "namespace": {**_TEXT, "pattern": "^([^/\\s]+(/[^/\\s]+)*)?$", "description": "a path such as team-a"},
    "owner": {**_TEXT, "description": "the name of a team"},
}


def in_yaml(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The settings that a person may write."""
    return {name: one for name, one in fields.items() if one.yaml and not one.output}


def sections() -> dict[str, Kind]:
    """The system kinds that are written in YAML; a kind with HCL text has files of its own."""
    return {name: kind for name, kind in SYSTEM.items() if not _in_files(kind)}


def _in_files(kind: Kind) -> bool:
    return any(one.shape is HCL for thing in kind.objects for one in thing.fields.values())


def _field(one: Field) -> Schema:
    if one.secret:
        return {**SECRET, "description": A_REFERENCE}
    schema = {**one.shape.schema, "description": one.shape.expected}
    if one.file:
        schema |= {"pattern": pattern(schema), "description": f"{one.shape.expected}, or file:PATH"}
    return {**schema, "writeOnly": True} if one.sensitive else schema


def _properties(fields: Mapping[str, Field]) -> Schema:
    """The schemas of settings; a dotted name stands in the map of its group."""
    found: Schema = {}
    for name, one in in_yaml(fields).items():
        *groups, leaf = name.split(".")
        inner = found
        for group in groups:
            inner = inner.setdefault(group, closed({}, MAP_OF_SETTINGS))["properties"]
        inner[leaf] = _field(one)
        if one.secret:
            inner[f"{leaf}_version"] = {
                "type": "integer",
                "minimum": 1,
                "description": "a whole number; raise it to send the secret again",
            }
    return found


def _object(one: Object) -> Schema:
    with_ = f" with {' and '.join(one.required)}" if one.required else ""
    settings = closed(_properties(one.fields), MAP_OF_SETTINGS + with_, one.required)
    if not one.required:
        settings["type"] = ["object", "null"]
    if one.single:
        return settings
    return {"type": ["object", "null"], "additionalProperties": settings, "description": MAP_TO_SETTINGS}


@cache
def kind_schema(kind_family: str, name: str) -> Schema:
    """The schema of one mount, or of all objects of a system kind."""
    kind = FAMILIES[kind_family][name]
    objects = {one.key: _object(one) for one in kind.objects}
    if kind.is_one:
        return objects[kind.name]
    if not kind.mount:
        return {**closed(objects, kind.summary, kind.required), "type": ["object", "null"]}
    properties = {
        "type": {"const": kind.name, "description": kind.name},
        **_properties(kind.mount.fields),
        **objects,
    }
    return closed(properties, kind.summary, ("type", *kind.required))


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
    head = {"$schema": DRAFT, "$comment": "Generated by `invoke schema`; do not edit.", "title": title}
    return json.dumps({**head, **schema}, indent=1, ensure_ascii=False) + "\n"


def _partial(schema: Json) -> Json:
    """The schema for a file that may be merged over another: nothing is required, and null removes."""
    if isinstance(schema, list):
        return [_partial(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: one if key in {"if", "enum"} else _partial(one) for key, one in schema.items() if key != "required"}
    return _nullable(loose)


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
