"""What waits for somebody outside: the object, what is to be done, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.instances import Instance


@dataclass(frozen=True)
class Waiting:
    """An object that is not whole before a person has done something with a text that is no secret."""

    title: str
    what: str
    text: str


def waiting(instances: Iterable[Instance], state: Mapping[str, Json]) -> Iterator[Waiting]:
    """Each object that waits, once Terraform knows the text."""
    for one in instances:
        declared = one.declaration.object
        if declared and declared.waits and one.declaration.waits and one.part is declared.parts[0]:
            text = _attributes(state, one).get(declared.waits.output)
            if text:
                yield Waiting(one.declaration.title, declared.waits.words, str(text))


def _attributes(state: Mapping[str, Json], one: Instance) -> Mapping[str, Json]:
    """What the state holds of an instance."""
    for resource in state.get("resources", []):
        if (resource["type"], resource["name"]) == (one.resource.type, one.block):
            for instance in resource["instances"]:
                if instance.get("index_key") == one.key:
                    return dict(instance["attributes"])
    return {}
