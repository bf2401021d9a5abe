"""What jsonschema finds, in our words and at the place where it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator, ValidationError, validators

from orchestrator.config.source import problem, shown_scalar
from orchestrator.config.words import A_REFERENCE, meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.config.source import Node
    from orchestrator.declared import Where
    from orchestrator.documents import Json
    from orchestrator.errors import Problem

_LONGEST = 40


def whole(pattern: str) -> str:
    """A schema's pattern with a `$` that means the end."""
    return re.sub(r"\$$", r"\\Z", pattern)


def _whole_match(_: Json, pattern: str, value: Json, __: Json) -> Iterator[ValidationError]:
    """`pattern` to the end, with digits that are 0 to 9."""
    if isinstance(value, str) and not re.search(whole(pattern), value, re.ASCII):
        yield ValidationError(f"does not match {pattern}")


def _is_integer(_: Json, value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


Validator = validators.extend(
    Draft202012Validator,
    {"pattern": _whole_match},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def validate(
    schema: dict[str, Json], root: Node, path: tuple[str, ...], problems: list[Problem], *, filled: bool
) -> None:
    """Add what is wrong with the node at `path`; a placeholder that is not filled in may be anything.

    Where reading a value went wrong already, nothing more is said of it.
    """
    known = {(one.file, one.line, one.column) for one in problems}
    for error in Validator(schema).iter_errors(_locate(root, path)[0].plain()):
        if filled or not (isinstance(error.instance, str) and "${" in error.instance):
            found = _problems(schema, root, path, error)
            problems.extend(one for one in found if (one.file, one.line, one.column) not in known)


def _problems(schema: dict[str, Json], root: Node, path: tuple[str, ...], error: ValidationError) -> Iterator[Problem]:
    at, key = _locate(root, (*path, *error.absolute_path))
    what = (*path, *(part for part in error.absolute_path if isinstance(part, str)))
    expected, inherited = _expected(schema, list(error.absolute_schema_path))
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in sorted(set(error.instance) - set(known)):
            yield problem(at.keys[name], _said(what, f"unknown setting {name!r}; {meant(name, known)}"))
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                one = error.schema.get("properties", {}).get(name, {}).get("description", "it")
                yield problem(key or at.where, _said((*what, name), f"missing; write {one}"))
    elif "propertyNames" in error.absolute_schema_path:
        yield problem(at.keys[error.instance], _said(what, _wrong(error, expected, inherited=inherited)))
    elif error.validator == "uniqueItems":
        yield from (problem(one.where, _said(what, f"{_shown(one.value)} stands twice")) for one in _repeated(at))
    elif expected != A_REFERENCE or error.instance is None:
        yield problem(at.where, _said(what, _wrong(error, expected, inherited=inherited)))


def _said(what: tuple[str, ...], message: str) -> str:
    return f"{'/'.join(what)}: {message}" if what else message


def _locate(node: Node, path: Iterable[str | int]) -> tuple[Node, Where | None]:
    """The node at a path, and the place of its key."""
    key = None
    for part in path:
        key = node.keys.get(part) if isinstance(part, str) else None
        node = node.value[part]
    return node, key


def _expected(schema: Json, path: list[str | int]) -> tuple[str, bool]:
    """What the schema at a path asks for, and whether it only says so of what stands around."""
    expected, depth = "", 0
    for index, part in enumerate([None, *path]):
        schema = schema if part is None else schema[part]
        if isinstance(schema, dict) and isinstance(schema.get("description"), str):
            expected, depth = schema["description"], index
    return expected, depth < len(path) - 1


def _repeated(node: Node) -> list[Node]:
    values = [one.plain() for one in node.value]
    return [one for index, one in enumerate(node.value) if values[index] in values[:index]]


def _wrong(error: ValidationError, expected: str, *, inherited: bool) -> str:
    value = error.instance
    if value is None:
        return f"empty; write {expected}"
    if isinstance(value, dict) and expected.startswith("a map"):
        return f"expected {expected}"
    shown = "the value" if error.schema.get("writeOnly") else _shown(value)
    if error.validator == "minimum":
        return f"{shown} is below {error.validator_value}"
    if inherited:
        return f"{shown} does not belong in {expected}"
    return f"{shown} is not {expected}{_hint(error)}"


def _hint(error: ValidationError) -> str:
    value, wanted = error.instance, error.schema.get("type", "string")
    if error.schema.get("writeOnly"):
        return ""
    if isinstance(value, str) and "enum" in error.schema:
        close = meant(value, map(str, error.schema["enum"]))
        return f"; {close}" if close.startswith("did") else ""
    if isinstance(value, str) and wanted == "array":
        return f"; write [{_shown(value)}]"
    if isinstance(value, int | float) and wanted == "string" and error.validator == "type":
        return "; put it in quotes"
    return ""


def _shown(value: Json) -> str:
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    if isinstance(value, str) and "PRIVATE KEY" in value:
        return "a private key"
    shown = shown_scalar(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…'"
