"""A schema as a quick yes or no: jsonschema, which takes its time, need only look at what is refused here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from functools import cache
from types import NoneType

from orchestrator.config.schema import environment_schema, kind_schema
from orchestrator.config.validate import whole
from orchestrator.model import Json

Accepts = Callable[[Json], bool]  # takes a Node's value, whose parts are Nodes

_SILENT = frozenset({"$comment", "default", "description", "examples", "writeOnly"})
_OF_MAPS = frozenset({"properties", "required", "additionalProperties"})
_OF_TWO = frozenset({"if", "then", "else"})
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (NoneType,),
}


@cache
def of_environment() -> Accepts:
    return compiled(environment_schema())


@cache
def of_kind(family: str, name: str) -> Accepts:
    return compiled(kind_schema(family, name))


def compiled(schema: dict[str, Json]) -> Accepts:
    """Whether a value is right by a schema; a keyword that is not known here is never fulfilled."""
    tests = [_KEYWORDS.get(word, _unknown)(schema[word]) for word in schema.keys() - _SILENT - _OF_MAPS - _OF_TWO]
    if schema.keys() & _OF_MAPS:
        tests.append(_map(schema))
    if "if" in schema:
        tests.append(_either(schema))
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _anything(_: Json) -> bool:
    return True


def _nothing(_: Json) -> bool:
    return False


def _unknown(_: Json) -> Accepts:
    return _nothing


def _map(schema: dict[str, Json]) -> Accepts:
    known = {name: compiled(one) for name, one in schema.get("properties", {}).items()}
    more = schema.get("additionalProperties", True)
    other = compiled(more) if isinstance(more, dict) else _anything if more else _nothing
    required = frozenset(schema.get("required", ()))

    def accepts(value: Json) -> bool:
        if type(value) is not dict:
            return True
        return required <= value.keys() and all(known.get(key, other)(one.value) for key, one in value.items())

    return accepts


def _either(schema: dict[str, Json]) -> Accepts:
    first, yes, no = (compiled(schema.get(word, {})) for word in ("if", "then", "else"))
    return lambda value: yes(value) if first(value) else no(value)


def _type(names: str | list[str]) -> Accepts:
    types = {one for name in ([names] if isinstance(names, str) else names) for one in _TYPES[name]}
    return lambda value: type(value) in types


def _pattern(pattern: str) -> Accepts:
    found = re.compile(whole(pattern), re.ASCII).search
    return lambda value: type(value) is not str or found(value) is not None


def _minimum(least: int) -> Accepts:
    return lambda value: type(value) not in (int, float) or value >= least


def _above(least: int) -> Accepts:
    return lambda value: type(value) not in (int, float) or value > least


def _maximum(most: int) -> Accepts:
    return lambda value: type(value) not in (int, float) or value <= most


def _size(kind: type[Sized], least: int, most: int | None) -> Accepts:
    return lambda value: not isinstance(value, kind) or (least <= len(value) and (most is None or len(value) <= most))


def _keys(schema: dict[str, Json]) -> Accepts:
    accepts = compiled(schema)
    return lambda value: type(value) is not dict or all(map(accepts, value))


def _not(schema: dict[str, Json]) -> Accepts:
    accepts = compiled(schema)
    return lambda value: not accepts(value)


def _enum(words: list[Json]) -> Accepts:
    return lambda value: type(value) in (str, int) and value in words


def _items(schema: dict[str, Json]) -> Accepts:
    accepts = compiled(schema)
    return lambda value: type(value) is not list or all(accepts(one.value) for one in value)


def _unique(_: Json) -> Accepts:
    """Lists of texts only; what else is in one is a matter for jsonschema."""

    def accepts(value: Json) -> bool:
        if type(value) is not list:
            return True
        texts = {one.value for one in value if type(one.value) is str}
        return len(texts) == len(value)

    return accepts


_KEYWORDS: dict[str, Callable[[Json], Accepts]] = {
    "type": _type,
    "pattern": _pattern,
    "minimum": _minimum,
    "exclusiveMinimum": _above,
    "maximum": _maximum,
    "minItems": lambda least: _size(list, least, None),
    "minProperties": lambda least: _size(dict, least, None),
    "maxProperties": lambda most: _size(dict, 0, most),
    "propertyNames": _keys,
    "not": _not,
    "enum": _enum,
    "const": lambda word: _enum([word]),
    "items": _items,
    "uniqueItems": _unique,
}
