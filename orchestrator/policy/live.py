"""A policy as a server holds it: laxer than what our own files may say, and never passed over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.declared import Where
from orchestrator.errors import ConfigInvalid
from orchestrator.policy import hcl
from orchestrator.policy.hcl import Item, Value
from orchestrator.policy.parse import LEGACY, SETTINGS, Policy, is_stanza, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.documents import Json


@dataclass(frozen=True)
class Unreadable:
    """A policy whose text makes no sense here: nobody can say what it opens."""

    why: str


LivePolicies = Mapping[str, Policy | Unreadable]


@dataclass(frozen=True)
class _Map:
    """A JSON object with every pair it has: a server takes both where a key stands twice."""

    pairs: tuple[tuple[str, Json], ...]


def understood(name: str, text: str) -> Policy | Unreadable:
    """What a live policy says, in HCL or in JSON; one without any stanza grants nothing."""
    try:
        items = tuple(_of_json(text, name)) if text.lstrip().startswith("{") else hcl.items(text, name)
        stanzas = [item for item in items if item.keys != ("name",)]
        for item in stanzas:
            _check(item)
        return Policy(tuple(map(rule, stanzas)))
    except ConfigInvalid as error:
        return Unreadable(str(error.problems[0]))
    except RecursionError:
        return Unreadable(f"{name}: nested too deep to be read")


def _check(item: Item) -> None:
    """ConfigInvalid where nobody can tell what a stanza opens."""
    if not is_stanza(item):
        raise hcl.wrong(item.where, f"{item.keys[0]!r} is no stanza for a path")
    keys = [one.keys[0] for one in item.value.content]
    if len(set(keys)) < len(keys):  # a server joins what stands twice in ways of its own
        raise hcl.wrong(item.where, "a setting stands twice")
    for one in item.value.content:
        key, said = one.keys[0], one.value.plain()
        if key not in SETTINGS:
            raise hcl.wrong(one.where, f"unknown setting {key!r}")
        if key == "policy" and said not in LEGACY:
            raise hcl.wrong(one.where, f"policy is one of {', '.join(LEGACY)}")
        if key == "capabilities" and not _words(said):
            raise hcl.wrong(one.where, "capabilities are no list of words")


def _words(said: Json) -> bool:
    return isinstance(said, list) and all(isinstance(word, str) for word in said)


def _of_json(text: str, name: str) -> Iterator[Item]:
    where = Where(name, 1, 1)
    try:
        document = json.loads(text, object_pairs_hook=lambda pairs: _Map(tuple(pairs)))
    except ValueError as error:
        raise hcl.wrong(where, "begins like JSON and is none") from error
    for key, value in document.pairs:
        if key == "path":
            yield from _stanzas(value, where)
        else:
            yield Item((key,), _value(value, where), where)


def _stanzas(value: Json, where: Where) -> Iterator[Item]:
    """`{"a/b": {...}}`, where a list stands for each of its items."""
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, _Map):
            raise hcl.wrong(where, "`path` holds no map of paths")
        for path, body in each.pairs:
            yield Item(("path", path), _value(body, where), where)


def _value(value: Json, where: Where) -> Value:
    if isinstance(value, _Map):
        return Value(tuple(Item((key,), _value(one, where), where) for key, one in value.pairs), where)
    return Value([_value(one, where) for one in value] if isinstance(value, list) else value, where)
