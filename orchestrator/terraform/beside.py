"""Secrets that the provider would keep in its state: Terraform orders the request that carries them, and holds none."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from orchestrator.catalog import RESOURCES
from orchestrator.terraform.carry import PROGRAM, REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.instances import Beside, Instance

TYPE = "terraform_data"  # Terraform's own resource, which runs a program and keeps what made it run
_ALWAYS = "_always"
STAND_IN = "a stand-in: the secret itself goes to the server beside Terraform"


def labels(instances: Iterable[Instance]) -> dict[str, list[str]]:
    """The names of the blocks that carry secrets, by the resource type whose secrets they are."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in instances:
        if one.beside:
            found[one.resource.type].add(_label(one, one.beside))
    return {type_: sorted(names) for type_, names in found.items()}


def _label(one: Instance, beside: Beside) -> str:
    return f"{one.resource.type}{_ALWAYS}" if beside.always else one.resource.type


def tables(instances: Iterable[Instance]) -> dict[str, dict[str, dict[str, str]]]:
    """What each block carries, by its label and the key of the object."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for one in instances:
        if beside := one.beside:
            found[_label(one, beside)][one.key] = _row(beside)
    return dict(found)


def _row(beside: Beside) -> dict[str, str]:
    request = {"path": beside.path, "data": beside.data, "secrets": beside.secrets}
    return {
        "title": beside.title,
        "versions": json.dumps(beside.versions, sort_keys=True),
        "request": json.dumps(request, sort_keys=True),
    }


def blocks(instances: Iterable[Instance]) -> Iterator[tuple[str, dict[str, Json]]]:
    """The resources that carry: with each version, and after each write that sends the stand-in."""
    for type_, names in labels(instances).items():
        for name in names:
            carry = {"command": f'exec "${PROGRAM}"', "environment": {REQUEST: "${each.value.request}"}}
            every = {"lifecycle": {"replace_triggered_by": [f"{type_}.this[each.key]"]}} if name != type_ else {}
            yield (
                name,
                {
                    "for_each": f"${{local.beside_{name}}}",
                    "input": "${{ title = each.value.title, versions = each.value.versions }}",
                    # A new object has no id yet: that is a change too.
                    "triggers_replace": [f"${{{type_}.this[each.key].id}}", "${each.value.versions}"],
                    "provisioner": [{"local-exec": carry}],
                    **every,
                },
            )


def carries(one: Mapping[str, Json]) -> tuple[str, str] | None:
    """Type and key of the object whose secrets a resource of a plan carries; None for any other resource."""
    of = str(one.get("name", "")).removesuffix(_ALWAYS)
    return (of, str(one.get("index"))) if one["type"] == TYPE and of in RESOURCES else None


def title(one: Mapping[str, Json]) -> str:
    """How people name the object."""
    return str((one["change"]["after"] or one["change"]["before"])["input"]["title"])


def versions(state: Mapping[str, Json] | None) -> dict[str, int]:
    """Which secrets a resource has carried, and the version of each."""
    found: dict[str, int] = json.loads(state["input"]["versions"]) if state else {}
    return found
