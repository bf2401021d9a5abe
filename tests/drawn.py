"""Environments drawn at random: what the schema of every kind accepts, with references that lead somewhere."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.catalog import AUTH, CATALOG, named
from orchestrator.config.checks import lacks
from orchestrator.config.load import load
from orchestrator.config.schema import kind_schema, sections
from orchestrator.config.validate import whole
from orchestrator.declared import Cluster
from orchestrator.documents import get, put
from orchestrator.errors import ConfigInvalid
from orchestrator.shapes import DURATION_PATTERN
from tests.support import POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.declared import Environment
    from orchestrator.documents import Json
    from orchestrator.model import Field, Kind, Object

NAME = "drawn"
CLUSTER = Cluster("most", "vault", "1.21.0+ent", "enterprise")  # the server that lacks least
KINDS = [kind for kind in CATALOG.values() if kind.mount or kind.name in sections()]
THERE = [kind for kind in KINDS if not lacks(kind.absent, CLUSTER)]
THE_SAME = settings(
    derandomize=True,  # what was drawn once is drawn again, on every machine
    database=None,
    deadline=None,
    phases=[Phase.generate],  # a smaller document would take minutes to find
    suppress_health_check=list(HealthCheck),
)

Parts = dict[tuple[str, ...], Any]  # mounts and objects by the way to them in an environment

_WRITABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp"), include_characters="\n\t")
_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
_KEYS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=8)
_SCALARS = st.none() | st.booleans() | st.integers(0, 10**15) | st.text(_WRITABLE, max_size=8)


_RARE = {"minItems", "minProperties", "maxProperties", "propertyNames", "not"}


def values(schema: Mapping[str, Json]) -> st.SearchStrategy[Any]:
    """What a schema accepts, but for null, which says nothing."""
    return _values(json.dumps(schema))


@cache
def _values(text: str) -> st.SearchStrategy[Any]:
    schema = json.loads(text)
    if "if" in schema:
        return values({**schema["if"], **schema["then"]}) | values(schema["else"])
    if schema.keys() & _RARE:
        rest = {word: said for word, said in schema.items() if word not in _RARE}
        return values(rest).filter(Draft202012Validator(schema).is_valid)
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    types = schema.get("type")
    if types is None:
        return _SCALARS
    return st.one_of(
        [_OF_TYPE[name](schema) for name in ([types] if isinstance(types, str) else types) if name != "null"]
    )


def _text(schema: Mapping[str, Json]) -> st.SearchStrategy[str]:
    """A text, with what would be a placeholder escaped."""
    if schema.get("pattern") == DURATION_PATTERN:
        return st.tuples(st.integers(0, 9999), st.sampled_from(("", "s", "m", "h", "d"))).map(
            lambda one: f"{one[0]}{one[1]}"
        )
    found = st.text(_WRITABLE, max_size=12)
    if "pattern" in schema:
        found = st.from_regex(re.compile(whole(schema["pattern"]), re.ASCII), alphabet=_WRITABLE)
    return found.map(lambda value: value.replace("${", "$${"))


def _list(schema: Mapping[str, Json]) -> st.SearchStrategy[list[Json]]:
    """No empty text in it, which says nothing."""
    items = values(schema.get("items", {})).filter(lambda value: value != "")
    return st.lists(items, max_size=3, unique_by=repr if schema.get("uniqueItems") else None)


def _map(schema: Mapping[str, Json]) -> st.SearchStrategy[dict[str, Json]]:
    known = {name: values(one) for name, one in schema.get("properties", {}).items()}
    required = {name: known.pop(name) for name in schema.get("required", ())}
    more = schema.get("additionalProperties", {})
    if more is False:
        return st.fixed_dictionaries(required, optional=known)
    if "properties" in more:  # objects by name
        return st.dictionaries(_NAMES, values(more), min_size=1, max_size=2)
    return st.dictionaries(_KEYS, values(more), max_size=2)


def _integer(schema: Mapping[str, Json]) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum", -(10**6)), schema.get("maximum", 10**7 if "pattern" in schema else 10**15))


def _number(schema: Mapping[str, Json]) -> st.SearchStrategy[int]:
    return st.integers(schema.get("exclusiveMinimum", -(10**6)) + 1, 10**9)


_OF_TYPE: dict[str, Callable[[Mapping[str, Json]], st.SearchStrategy[Any]]] = {
    "string": _text,
    "array": _list,
    "object": _map,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _: st.booleans(),
}


def some(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many of a strategy, the same ones every time."""
    found = []

    @settings(THE_SAME, max_examples=count)
    @given(strategy)
    def draw(one: Any) -> None:  # noqa: ANN401 - any YAML
        found.append(one)

    draw()
    return found


@st.composite
def documents(draw: st.DrawFn, kind: Kind) -> Any:  # noqa: ANN401 - any YAML
    """A mount or a section of the kind, in which every reference names something or is left out."""
    document = draw(values(kind_schema(kind.family, kind.name)))
    held = _held(kind, document)
    for _ in range(2):  # what is taken out may have been named
        if kind.mount:
            _name(draw, kind, held, kind.mount.settings, held)
        for one, holder, name in list(_objects(kind, held)):
            missing = _name(draw, kind, held, one.settings, holder[name] or {})
            if missing & set(one.required):
                del holder[name]
    return document


def _held(kind: Kind, document: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    """The objects of a document by their keys."""
    return {kind.name: document} if kind.is_one else document or {}


def _objects(kind: Kind, held: dict[str, Any]) -> Iterator[tuple[Object, dict[str, Any], str]]:
    for one in kind.objects:
        holder = held if one.single else held.get(one.key) or {}
        yield from ((one, holder, name) for name in holder if not one.single or name == one.key)


def _name(
    draw: st.DrawFn, kind: Kind, held: dict[str, Any], fields: Mapping[str, Field], spec: dict[str, Any]
) -> set[str]:
    """Let each setting that names something name what there is; those that find nothing are left out, and told."""
    missing = set()
    for setting, field in fields.items():
        if field.names and get(spec, setting) is not None:
            known = st.sampled_from(found) if (found := _candidates(kind, held, field)) else None
            if known is None:
                _drop(spec, setting)
                missing.add(setting)
            else:
                several = st.lists(known, unique=True, min_size=1, max_size=3)
                put(spec, setting, draw(several if isinstance(field.shape.cty, list) else known))
    return missing


def _candidates(kind: Kind, held: dict[str, Any], field: Field) -> list[str]:
    """What a setting may name: objects beside it, or the examples, which stand in the same environment."""
    if field.names == "policy":
        return ["default"]
    if field.names == "auth":
        return [one.name for one in AUTH.values() if one in THERE]
    if field.names.startswith("mount:"):
        return [field.names.removeprefix("mount:")]
    if isinstance(field.shape.cty, list) and "/" not in field.names:
        return ["*"]
    places = (
        (held if holder is kind else _held(holder, holder.example), one) for holder, one in named(kind, field.names)
    )
    return [name for place, one in places for name in place.get(one.key) or ()]


def _drop(spec: dict[str, Any], setting: str) -> None:
    *groups, leaf = setting.split(".")
    for group in groups:
        spec = spec[group]
    del spec[leaf]


def parts(kind: Kind, document: Any, mount: str) -> Parts:  # noqa: ANN401 - any YAML
    if kind.mount:
        return {(kind.family, mount): document}
    above = () if kind.is_one else (kind.name,)
    return {
        (*above, *(() if one.single else (one.key,)), name): holder[name]
        for one, holder, name in _objects(kind, _held(kind, document))
    }


def examples() -> Parts:
    """Every kind's example, each on a mount of the kind's name."""
    return {way: one for kind in THERE for way, one in parts(kind, kind.example, kind.name).items()}


def loaded(root: Path, everything: Parts) -> tuple[Environment, Parts]:
    """The environment of these parts without those that some check beyond the schema refuses, and what is in it."""
    _write(root)
    while True:
        lines = list(_lines(everything))
        (root / f"vault-config/environments/{NAME}.yaml").write_text("\n".join(line for line, _ in lines))
        try:
            return load(root, NAME, None), everything
        except ConfigInvalid as error:
            refused = {lines[problem.line - 1][1] for problem in error.problems}
            if not refused <= everything.keys() - examples().keys():
                raise
            everything = {way: one for way, one in everything.items() if way not in refused}


def _write(root: Path) -> None:
    for folder in ("vault-config/environments", "vault-config/clusters", "policies"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    server = {"product": CLUSTER.server, "version": CLUSTER.version, "edition": CLUSTER.edition}
    cluster = json.dumps({"cluster": CLUSTER.name, "server": server})
    (root / f"vault-config/clusters/{CLUSTER.name}.yaml").write_text(cluster)
    (root / "policies/payments-read.hcl").write_text(POLICY)


def _lines(everything: Parts) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The YAML of an environment: each part is one line."""
    yield from ((f"environment: {NAME}", ()), (f"cluster: {CLUSTER.name}", ()))
    before: tuple[str, ...] = ()
    for way, one in sorted(everything.items()):
        for depth in range(1, len(way)):
            if way[:depth] != before[:depth]:
                yield f"{'  ' * (depth - 1)}{way[depth - 1]}:", ()
        yield f"{'  ' * (len(way) - 1)}{json.dumps(way[-1])}: {json.dumps(one, ensure_ascii=False)}", way
        before = way
