"""The sorts of values that settings have: how each looks in YAML, in Terraform and in the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.documents import Json

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION_PATTERN = r"^(\d+|(\d+[smhd])+)$"
PEM_PATTERN = r"^(?![\s\S]*PRIVATE KEY)-----BEGIN "
REFERENCE_PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|cmd:.+|kv:[^#]+#.+)$"


def seconds(value: int | str | None) -> int:
    """Seconds in a duration as Vault or a person writes it.

    >>> seconds("1h30m"), seconds(90), seconds("90"), seconds("30d"), seconds(None), seconds("")
    (5400, 90, 90, 2592000, 0, 0)
    """
    if value is None or value == "":
        return 0
    if isinstance(value, int) or value.isdigit():
        return int(value)
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([smhd])", value))


def duration(total: int) -> str:
    """The shortest way a person would write that many seconds, in units every server takes.

    >>> duration(259200), duration(5400), duration(90), duration(0)
    ('72h', '90m', '90s', '0s')
    """
    for unit in ("h", "m"):
        if total and total % _UNITS[unit] == 0:
            return f"{total // _UNITS[unit]}{unit}"
    return f"{total}s"


def go_duration(total: int) -> str:
    """That many seconds as Go prints them.

    >>> go_duration(86400), go_duration(90), go_duration(10)
    ('24h0m0s', '1m30s', '10s')
    """
    hours, minutes = total // 3600, total // 60 % 60
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{text}{total % 60}s"


Element = Mapping[str, "tuple[Json, bool] | Element"]
"""A nested block: its attributes' types and whether they are required, and the blocks in it."""


@dataclass(frozen=True)
class Shape:
    """How one sort of value looks in YAML, in Terraform and in the API.

    `canon` brings all three to one comparable form, `render` gives Terraform's, `send` the API's.
    """

    cty: Json
    schema: Mapping[str, Json]
    expected: str
    canon: Callable[[Json], Json]
    render: Callable[[Json], Json]
    zero: Json
    send: Callable[[Json], Json] = field(default=lambda value: value)
    element: Element | None = None  # a set of nested blocks
    most: int = 0  # how many such blocks there may be; 0: any number
    filled: Mapping[str, bool] = field(default_factory=dict)  # those the server fills in, and whether only it does


def _same(value: Json) -> Json:
    return value


def _text(value: Json) -> str:
    """A value as Terraform turns it into text.

    >>> _text(True), _text(None), _text(5)
    ('true', '', '5')
    """
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _ordered(value: Json) -> list[Json]:
    return [item for item in value or [] if item != ""]


def _unordered(value: Json) -> list[Json]:
    return sorted(_ordered(value))


def _split(value: Json) -> list[Json]:
    """A set that is one text in the API.

    >>> _split("b,a"), _split(["b", "a"]), _split("")
    (['a', 'b'], ['a', 'b'], [])
    """
    return _unordered(value.split(",") if isinstance(value, str) else value)


def _mapping(value: Json) -> dict[str, Json]:
    return dict(sorted((value or {}).items()))


def _text_values(value: Json) -> dict[str, str]:
    return {key: _text(item) for key, item in _mapping(value).items()}


def _pem(value: Json) -> str:
    return _text(value).strip()


def _claims(value: Json) -> dict[str, str]:
    """Claims as `a,b`: how Terraform holds them, and comparable.

    >>> _claims({"project": ["a", "b"], "ref": "main"})
    {'project': 'a,b', 'ref': 'main'}
    """
    return {key: ",".join(item) if isinstance(item, list) else _text(item) for key, item in _mapping(value).items()}


def _claims_sent(value: Json) -> dict[str, list[str]]:
    return {key: item.split(",") for key, item in (value or {}).items()}


_STRINGS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_DURATION = {"type": ["integer", "string"], "minimum": 0, "pattern": DURATION_PATTERN}
_A_DURATION = "a duration; write it like 20m, 24h or 30d"

TEXT = Shape("string", {"type": "string"}, "a text", _text, _text, "")
NUMBER = Shape("number", {"type": "integer", "minimum": 0}, "a whole number", lambda v: v or 0, _same, 0)
SIGNED = replace(NUMBER, schema={"type": "integer"})
RATE = replace(NUMBER, schema={"type": "number", "exclusiveMinimum": 0}, expected="a number above 0")
FLAG = Shape("bool", {"type": "boolean"}, "true or false", bool, _same, zero=False)
LIST = Shape(["list", "string"], _STRINGS, "a list of texts", _ordered, _ordered, [])
SET = Shape(["set", "string"], _STRINGS, "a list of texts", _unordered, _unordered, [])
COMMAS = replace(SET, canon=_split, render=_split, send=",".join)
MAP = Shape(
    ["map", "string"],
    {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}},
    "a map of texts",
    _text_values,
    _text_values,
    {},
)
CLAIMS = Shape(
    ["map", "string"],
    {"type": "object", "additionalProperties": {"type": ["string", "array"], "items": {"type": "string"}}},
    "a map from claim to a text or a list of texts",
    _claims,
    _claims,
    {},
    _claims_sent,
)
SECONDS = Shape("number", _DURATION, _A_DURATION, seconds, seconds, 0)
SECONDS_TEXT = Shape("string", _DURATION, _A_DURATION, seconds, lambda v: str(seconds(v)), "0")
DURATION = Shape("string", _DURATION, _A_DURATION, seconds, lambda v: duration(seconds(v)), "0s")
GO_DURATION = replace(DURATION, render=lambda v: go_duration(seconds(v)))  # where the server echoes 24h0m0s
PEM = Shape("string", {"type": "string", "pattern": PEM_PATTERN}, "a PEM text without a private key", _pem, _pem, "")
PEMS = Shape(
    ["list", "string"],
    {"type": "array", "items": {"type": "string", "pattern": PEM_PATTERN}},
    "a list of PEM texts without a private key",
    lambda v: [_pem(item) for item in v or []],
    lambda v: [_pem(item) for item in v or []],
    [],
)
HCL = Shape("string", {"type": "string"}, "an HCL policy", _text, _text, "")
CASELESS = replace(TEXT, canon=lambda v: _text(v).lower(), render=lambda v: _text(v).lower())  # kept in small letters


def choice(*words: str) -> Shape:
    """A text out of a closed list."""
    return replace(TEXT, schema={"enum": list(words)}, expected="one of " + ", ".join(word or '""' for word in words))


def alike(declared: Json, live: Json) -> bool:
    """Whether a server holds what was written to it, though it may have rewritten it.

    A duration comes back in seconds, `b,a` as a sorted list, nothing as another nothing, a map with more in it.

    >>> alike("1m", 60), alike("1h", "1h0m0s"), alike("b,a", ["a", "b"]), alike({"a": "1m"}, {"a": 60, "b": 1})
    (True, True, True, True)
    >>> alike("1m", 61), alike("010", "10"), alike(["a", "b"], ["b", "a"]), alike(True, 1)
    (False, False, False, False)
    """
    if isinstance(declared, dict) and isinstance(live, dict):
        return all(key not in live or alike(value, live[key]) for key, value in declared.items())
    if isinstance(live, list) and isinstance(declared, str):
        declared = [part.strip() for part in declared.split(",") if part.strip()]
    if isinstance(live, list) and isinstance(declared, list):
        same = len(declared) == len(live) and all(map(alike, declared, live))
        return same or (all(isinstance(one, str) for one in declared) and sorted(set(declared)) == live)
    if isinstance(declared, bool) or isinstance(live, bool):
        return _text(declared).lower() == _text(live).lower()
    empty: tuple[Json, ...] = (None, "", [], {})
    return declared == live or (declared in empty and live in empty) or _same_time(declared, live)


def _same_time(one: Json, other: Json) -> bool:
    """Whether both are a number or a duration of the same length; two numbers as texts are texts."""
    scalars = all(isinstance(value, int | str) and re.match(DURATION_PATTERN, str(value)) for value in (one, other))
    texts = isinstance(one, str) and isinstance(other, str) and (one + other).isdigit()
    return scalars and not texts and seconds(one) == seconds(other)
