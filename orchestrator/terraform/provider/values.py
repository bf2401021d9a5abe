"""Terraform's values: cty types as Terraform writes them in JSON, their values as msgpack or as JSON, and as Python's.

A string is `str`, a number `int` when whole and `float` when not, a list or set a list, a map or object a dict,
null `None`, and what is only known after apply `UNKNOWN`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, TypeAlias, cast

import msgpack

Type: TypeAlias = "str | Sequence[Type | str] | Mapping[str, Type]"
"""`"string"`, `["list", "number"]`, `["object", {"name": "string"}]`, … as they stand in a schema."""


class Unknown(Enum):
    UNKNOWN = "known after apply"


UNKNOWN: Final = Unknown.UNKNOWN

Value: TypeAlias = "bool | int | float | str | Unknown | Sequence[Value] | Mapping[str, Value] | None"
_Leaf: TypeAlias = Callable[[object, str], object]

_INT64: Final = range(-(2**63), 2**63)


def decode(packed: bytes, cty: Type) -> Value:
    return _shaped(msgpack.unpackb(packed, ext_hook=_unknown, strict_map_key=False), cty, _decoded)


def encode(value: Value, cty: Type) -> bytes:
    """What the type has and the value lacks is null; what the value has and the type lacks is an error."""
    packed: bytes = msgpack.packb(_shaped(value, cty, _encoded, strict=True), default=_extension)
    return packed


def conform(value: object, cty: Type) -> Value:
    """What the type has and the value lacks is null; what the value has and the type lacks is dropped."""
    return _shaped(value, cty, _converted)


def _unknown(_code: int, _refinements: bytes) -> Unknown:
    """Every extension Terraform sends is an unknown: code 0, or code 12 when something is known about it."""
    return UNKNOWN


def _extension(value: object) -> msgpack.ExtType:
    if value is UNKNOWN:
        return msgpack.ExtType(0, b"\0")
    raise _mismatch("a Terraform value", value)


def _shaped(value: object, cty: Type, leaf: _Leaf, *, strict: bool = False) -> Value:
    """The value with each leaf translated, and each object holding the attributes of its type."""
    if value is None or value is UNKNOWN:
        return cast("Value", value)
    if isinstance(cty, str):
        return cast("Value", leaf(value, cty))
    match cty:
        case ["list" | "set", element]:
            return [_shaped(item, element, leaf, strict=strict) for item in _sequence(value)]
        case ["tuple", elements]:
            pairs = zip(_sequence(value), elements, strict=True)
            return [_shaped(item, element, leaf, strict=strict) for item, element in pairs]
        case ["map", element]:
            return _named(value, dict.fromkeys(_mapping(value), element), leaf, strict=strict)
        case ["object", Mapping() as attributes, *_]:
            return _named(value, attributes, leaf, strict=strict)
    raise TypeError(f"no such Terraform type: {cty}")


def _named(value: object, types: Mapping[str, Type], leaf: _Leaf, *, strict: bool) -> dict[str, Value]:
    values = _mapping(value)
    if strict and (strange := values.keys() - types.keys()):
        raise TypeError(f"not in the schema: {', '.join(sorted(strange))}")
    shaped: dict[str, Value] = {}
    for name, cty in types.items():
        try:
            shaped[name] = _shaped(values.get(name), cty, leaf, strict=strict)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from error
    return shaped


def _sequence(value: object) -> Sequence[object]:
    if isinstance(value, (list, tuple)):
        return value
    raise _mismatch("a list", value)


def _mapping(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    raise _mismatch("a map", value)


def _mismatch(expected: str, value: object) -> TypeError:
    """Names the type and never the value, which may be a secret."""
    return TypeError(f"expected {expected}, not {type(value).__name__}")


def _decoded(value: object, cty: str) -> object:
    match cty, value:
        case "number", str() | float():
            return _number(value)
        case "dynamic", [bytes() as inner, held]:
            return _shaped(held, json.loads(inner), _decoded)
    return value


def _number(written: str | float) -> int | float:
    """
    >>> [_number(written) for written in (3.0, 0.5, "1180591620717411303424", "0.1")]
    [3, 0.5, 1180591620717411303424, 0.1]
    """
    try:
        return int(written) if isinstance(written, str) or written.is_integer() else written
    except ValueError:
        return float(written)


def _encoded(value: object, cty: str) -> object:
    match cty, value:
        case "dynamic", _:
            inner = _type_of(value)
            return [json.dumps(inner).encode(), _shaped(value, inner, _encoded)]
        case ("string", str()) | ("bool", bool()):
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return _exact(value)
    raise _mismatch(f"a {cty}", value)


def _exact(number: float) -> int | str:
    """Text where int64 is too small, and for fractions: Terraform's 0.1 is decimal, a double's is not."""
    whole = int(number) if number == number // 1 else None
    if whole is None:
        return repr(number)
    return whole if whole in _INT64 else str(whole)


def _type_of(value: object) -> Type:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return ["object", {name: _type_of(held) for name, held in value.items()}]
        case None | Unknown():
            return "dynamic"
    return ["tuple", [_type_of(item) for item in _sequence(value)]]


def _converted(value: object, cty: str) -> object:
    """A leaf of a state, whose type may have changed since it was written."""
    match cty, value:
        case "string", bool() | int() | float():
            return json.dumps(value)
        case "number", str() | float():
            return _number(value)
        case "bool", "true" | "false":
            return value == "true"
        case "dynamic", {"type": inner, "value": held}:
            return conform(held, cast("Type", inner))
    return value
