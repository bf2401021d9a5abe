"""What lives already and is not in Terraform's state: taken over, or left as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.instances import Instance
    from orchestrator.model import Json


@dataclass(frozen=True)
class Adoption:
    """`imported` come under Terraform with an import block; `left` cannot, and stay out of what is rendered."""

    imported: tuple[Instance, ...]
    left: tuple[Instance, ...]


def unknown(instances: Sequence[Instance], state: Collection[str]) -> tuple[Instance, ...]:
    """The declared objects that the state does not hold, and that would not simply be written over."""
    return tuple(one for one in instances if one.address not in state and one.resource.adopt != "create")


def adoption(candidates: Sequence[Instance], live: Mapping[str, Mapping[str, Json] | None]) -> Adoption:
    """`live` tells what stands at each candidate's path that shows whether it exists."""
    there = [one for one in candidates if live[one.exists_path] is not None]
    return Adoption(
        tuple(one for one in there if one.resource.adopt == "import"),
        tuple(one for one in there if one.resource.adopt == "leave"),
    )


def addresses(state: Mapping[str, Json]) -> Iterator[str]:
    """The addresses of every resource in a state file's JSON."""
    for resource in state.get("resources", []):
        for instance in resource["instances"]:
            key = instance.get("index_key")
            suffix = "" if key is None else f'["{key}"]'
            yield f"{resource['type']}.{resource['name']}{suffix}"
