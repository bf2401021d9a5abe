"""Promises that hold for whatever may be written, tried on environments drawn at random."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.config import quick
from orchestrator.config.schema import environment_schema, kind_schema
from orchestrator.config.source import Node
from orchestrator.config.validate import Validator
from orchestrator.context import opened
from orchestrator.declared import Where
from orchestrator.documents import get, put
from orchestrator.instances import Instance, instances
from orchestrator.live.drift import Drift, drift
from orchestrator.terraform import run
from orchestrator.terraform import workspace as folders
from orchestrator.terraform.render import render, secret_keys
from tests.drawn import KINDS, NAME, THE_SAME, THERE, Parts, documents, examples, loaded, parts, some, values
from tests.support import no_progress, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.declared import Environment
    from orchestrator.local.stack import Stack
    from orchestrator.model import Attribute, Kind

OF_EACH = 10


@pytest.fixture(scope="module", name="drawn")
def fixture_drawn(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Documents of every kind beside the examples."""
    everything: Parts = {}
    for kind in THERE:
        for number, document in enumerate(some(documents(kind), OF_EACH)):
            everything |= parts(kind, document, f"{kind.name}-{number}")
    environment, left = loaded(tmp_path_factory.mktemp("drawn"), everything | examples())

    assert len(left) > len(everything) / 2
    return environment


def test_whatever_the_schema_accepts_renders(drawn: Environment) -> None:
    found = Counter(one.kind.name for one in drawn.declarations)

    assert [kind.name for kind in THERE if not found[kind.name]] == []
    assert render(instances(drawn))


@pytest.mark.server
def test_whatever_the_schema_accepts_terraform_plans(drawn: Environment, stack: Stack, tmp_path: Path) -> None:
    """A plan validates first, and then holds each value to its type."""
    every = instances(drawn)
    environ = project(tmp_path, stack, NAME, {})
    with opened(tmp_path, NAME, environ) as context, folders.locked(context):
        folders.write(context, every)
        workspace, _ = folders.ready(replace(context, secrets=dict.fromkeys(secret_keys(every), "any")))
        planned = run.plan(workspace, tmp_path / "plan", no_progress, refresh=False)

    assert planned.changes


WRONG: list[Any] = [None, True, -1, 0, 1.5, "", "x", "20m", "20 m", "env:A", "env:A\n", [], ["a", "a"], [1], {"z": 1}]


def node(value: Any) -> Node:  # noqa: ANN401 - any YAML
    if isinstance(value, dict):
        value = {key: node(one) for key, one in value.items()}
    return Node([node(one) for one in value] if isinstance(value, list) else value, Where("", 1, 1))


def places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any YAML
    """Every map and list in a document with each of its keys and indices."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(inside):
        yield value, key
        yield from places(one)


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:  # noqa: ANN401 - any YAML
    """A document with a value spoilt, replaced or removed, or with a key too many."""
    document = {"all": copy.deepcopy(document)}
    holder, key = draw(st.sampled_from(list(places(document))))
    one = holder[key]
    spoilt = {**one, "zzz": 1} if isinstance(one, dict) else one * 2 if isinstance(one, list) else one
    spoilt = -1 - one if type(one) is int else f"{one}\n" if isinstance(one, str) else spoilt
    holder[key] = draw(st.sampled_from([spoilt, *WRONG]) | st.just(spoilt))
    if draw(st.booleans()) and draw(st.booleans()):
        del holder[key]
    return document.get("all")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_quick_answer_is_that_of_the_schema(kind: Kind) -> None:
    accepts, checked = quick.of_kind(kind.family, kind.name), Validator(kind_schema(kind.family, kind.name))

    @settings(THE_SAME, max_examples=25)
    @given(st.data(), values(kind_schema(kind.family, kind.name)))
    def same(data: st.DataObject, document: Any) -> None:  # noqa: ANN401 - any YAML
        wrong = data.draw(damaged(document))

        assert accepts(node(document).value)
        assert accepts(node(wrong).value) == checked.is_valid(wrong)

    same()


@settings(THE_SAME, max_examples=100)
@given(st.data())
def test_the_quick_answer_about_an_environment_is_that_of_the_schema(data: st.DataObject) -> None:
    document: dict[str, Any] = {"environment": NAME, "cluster": NAME, "auth": {"approle": {"type": "approle"}}}
    wrong = data.draw(damaged({**document, "secrets": None, "owner": "ops"}))

    assert quick.of_environment()(node(document).value)
    assert quick.of_environment()(node(wrong).value) == Validator(environment_schema()).is_valid(wrong)


def answered(one: Instance) -> dict[str, dict[str, Any]]:
    """What a server would answer that holds just what is declared."""
    document: dict[str, Any] = {}
    for attribute, value in one.settings():
        hold(document, attribute, value)
    return dict.fromkeys(one.reads, document)


def hold(document: dict[str, Any], attribute: Attribute, value: Any) -> None:  # noqa: ANN401 - any setting's value
    sent = value if attribute.shape.element else attribute.shape.send(attribute.shape.render(value))
    if attribute.field.whole:
        document.update(sent)
    elif not attribute.field.secret:
        put(document, attribute.api, sent)


def _apart(one: Instance) -> bool:
    """Whether each setting has a place of its own in the server's answer."""
    places = [attribute.api for attribute, _ in one.settings() if attribute.field.readable]
    return len(places) == len(set(places))


@pytest.fixture(scope="module", name="readable")
def fixture_readable(drawn: Environment) -> list[Instance]:
    """What is read as a document of its own."""
    every = [one for one in instances(drawn) if not one.resource.exists and _apart(one)]
    return [one for one in every if one.reads and one.live(answered(one)) == next(iter(answered(one).values()))]


def test_what_the_server_holds_as_declared_is_no_drift(readable: list[Instance]) -> None:
    assert [drift([one], answered(one)) for one in readable] == [[]] * len(readable)


@pytest.fixture(scope="module", name="comparable")
def fixture_comparable(readable: list[Instance]) -> list[tuple[Instance, Attribute, Any]]:
    return [
        (one, attribute, value)
        for one in readable
        for attribute, value in one.settings()
        if attribute.field.yaml and attribute.field.readable
        if not (attribute.field.secret or attribute.field.whole)
    ]


@settings(THE_SAME, max_examples=300)
@given(st.data())
def test_any_setting_changed_behind_our_back_is_one_drift(
    comparable: list[tuple[Instance, Attribute, Any]], data: st.DataObject
) -> None:
    one, attribute, value = data.draw(st.sampled_from(comparable))
    other = data.draw(values(attribute.shape.schema))
    assume(attribute.shape.canon(other) != attribute.shape.canon(value))
    documents = answered(one)
    hold(next(iter(documents.values())), attribute, other)

    held = get(next(iter(documents.values())), attribute.api)
    assert drift([one], documents) == [Drift(one.declaration.title, attribute.yaml, value, held)]
