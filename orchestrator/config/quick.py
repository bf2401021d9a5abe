"""A schema as a quick yes or no: jsonschema, which takes its time, need only look at what is refused here."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from operator import ge, gt, le
from types import NoneType

from orchestrator.config.schema import environment_schema, kind_schema
from orchestrator.config.validate import whole
from orchestrator.documents import Json

Accepts = Callable[[Json], bool]  # takes a Node's value, whose parts are Nodes

_SILENT = frozenset({"$comment", "default", "description", "examples", "writeOnly"})
_OF_MAPS = frozenset({"properties", "required", "additionalProperties"})
_OF_CHOICES = frozenset({"if", "then", "else"})
_TYPES: dict[str, set[type]] = {
    "string": {str},
    "integer": {int},
    "number": {int, float},
    "boolean": {bool},
    "object": {dict},
    "array": {list},
    "null": {NoneType},
}


@cache
def of_environment() -> Accepts:
    return compiled(environment_schema())


@cache
def of_kind(family: str, name: str) -> Accepts:
    return compiled(kind_schema(family, name))


def compiled(schema: dict[str, Json]) -> Accepts:
    """Whether a value is right by a schema; every keyword that the catalogue's schemas have is known here."""
    words = schema.keys() - _SILENT - _OF_MAPS - _OF_CHOICES
    tests = [_KEYWORDS[word](schema[word]) for word in words]
    tests += [_map(schema)] if schema.keys() & _OF_MAPS else []
    tests += [_choice(schema)] if "if" in schema else []
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _anything(_: Json) -> bool:
    return True


def _nothing(_: Json) -> bool:
    return False


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


def _choice(schema: dict[str, Json]) -> Accepts:
    is_so, then, otherwise = (compiled(schema.get(word, {})) for word in ("if", "then", "else"))
    return lambda value: then(value) if is_so(value) else otherwise(value)


def _type(names: str | list[str]) -> Accepts:
    types = set().union(*(_TYPES[name] for name in ([names] if isinstance(names, str) else names)))
    return lambda value: type(value) in types


def _pattern(pattern: str) -> Accepts:
    found = re.compile(whole(pattern), re.ASCII).search
    return lambda value: type(value) is not str or found(value) is not None


def _bound(name: str, holds: Callable[[Json, Json], bool]) -> Callable[[Json], Accepts]:
    """A keyword that sets a bound to the values of one type."""
    types = _TYPES[name]
    return lambda bound: lambda value: type(value) not in types or holds(value, bound)


def _no_less(value: Json, least: int) -> bool:
    return len(value) >= least


def _no_more(value: Json, most: int) -> bool:
    return len(value) <= most


def _enum(words: list[Json]) -> Accepts:
    wanted = {(type(word), word) for word in words}
    return lambda value: type(value) not in {list, dict} and (type(value), value) in wanted


def _names(schema: dict[str, Json]) -> Accepts:
    accepts = compiled(schema)
    return lambda value: type(value) is not dict or all(accepts(name) for name in value)


def _not(schema: dict[str, Json]) -> Accepts:
    accepts = compiled(schema)
    return lambda value: not accepts(value)


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
    "minimum": _bound("number", ge),
    "maximum": _bound("number", le),
    "exclusiveMinimum": _bound("number", gt),
    "minLength": _bound("string", _no_less),
    "minItems": _bound("array", _no_less),
    "minProperties": _bound("object", _no_less),
    "maxProperties": _bound("object", _no_more),
    "enum": _enum,
    "const": lambda word: _enum([word]),
    "items": _items,
    "uniqueItems": _unique,
    "propertyNames": _names,
    "not": _not,
}
