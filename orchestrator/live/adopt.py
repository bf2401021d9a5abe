"""What lives already and is not in Terraform's state: taken over, or left as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.live.standing import has_its_mount, live_type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.instances import Documents, Instance
    from orchestrator.live.standing import Standing


@dataclass(frozen=True)
class Adoption:
    """`imported` come under Terraform with an import block; `left` cannot, and stay out of what is rendered."""

    imported: tuple[tuple[Instance, str], ...]  # each with the id to import it by
    left: tuple[Instance, ...]
    anew: tuple[Instance, ...] = ()  # the state knows them, the server lost them, and no refresh would tell


def in_the_way(instances: Sequence[Instance], state: Collection[str], mounts: Standing) -> list[str]:
    """Declared mounts on whose path another type stands that is not ours to destroy, a sentence each."""
    return [
        f"{one.declaration.title} is declared as {one.kind.type}, and a mount of type {live_type(one, mounts)} stands "
        "there; choose another path, or first take away what is there (by hand, or by an apply without it)"
        for one in instances
        if one.declaration.object is None
        and one.address not in state
        and live_type(one, mounts) not in (None, one.kind.type)
    ]


def candidates(instances: Sequence[Instance], state: Collection[str], mounts: Standing) -> tuple[Instance, ...]:
    """The objects worth a look: unknown to the state, or known and never refreshed; their mounts stand."""
    unfinished = {id(one.declaration) for one in instances if one.address not in state or one.declaration.waits}
    return tuple(
        one
        for one in instances
        if one.exists_path
        and has_its_mount(one, mounts)
        and (_unknown(one, state) or (_unseen(one, state) and id(one.declaration) not in unfinished))
    )


def _unknown(one: Instance, state: Collection[str]) -> bool:
    """An import names no namespace: what stands in one further down is made over what is there."""
    return one.address not in state and one.resource.adopt != "create" and not one.inside


def _unseen(one: Instance, state: Collection[str]) -> bool:
    return one.address in state and not one.resource.read_paths


def adoption(looked_at: Sequence[Instance], state: Collection[str], documents: Documents) -> Adoption:
    """`documents` tell what stands at the paths of each candidate."""
    found = [(one, one.live(documents)) for one in looked_at]
    there = [(one, live) for one, live in found if live is not None and _unknown(one, state)]
    return Adoption(
        tuple((one, one.import_id(live)) for one, live in there if one.resource.adopt == "import"),
        tuple(one for one, _ in there if one.resource.adopt == "leave"),
        tuple(one for one, live in found if _unseen(one, state) and live is None),
    )


def addresses(state: Mapping[str, Json]) -> Iterator[str]:
    """The addresses of every resource in a state file's JSON."""
    for resource in state.get("resources", []):
        for instance in resource["instances"]:
            key = instance.get("index_key")
            suffix = "" if key is None else f'["{key}"]'
            yield f"{resource['type']}.{resource['name']}{suffix}"
