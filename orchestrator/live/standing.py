"""Which mounts stand on the server, and of which type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json
    from orchestrator.instances import Instance
    from orchestrator.live.server import Server

Standing = dict[tuple[str, str], str]
_LISTS = {"auth": "sys/auth", "secrets": "sys/mounts"}


def standing(server: Server) -> Standing:
    """The type of each live mount: {(family, path): type}."""
    return {
        (family, path.rstrip("/")): mount["type"]
        for family, where in _LISTS.items()
        for path, mount in _listed(server, where).items()
        if path.endswith("/")
    }


def _listed(server: Server, where: str) -> Mapping[str, Json]:
    found = server.read(where)
    if found is None:  # every server and namespace has mounts of its own: this is no empty list
        raise StrongroomError(f"{server.name} does not tell its mounts at {where}; is this Vault or OpenBao?")
    return found


def live_type(one: Instance, mounts: Mapping[tuple[str, str], str]) -> str | None:
    """The type of the live mount where an instance belongs; None where none stands."""
    return mounts.get((one.kind.family, one.declaration.mount))


def has_its_mount(one: Instance, mounts: Mapping[tuple[str, str], str]) -> bool:
    """Whether what an instance stands on is there, so that asking for the instance makes sense."""
    return one.kind.mount is None or live_type(one, mounts) == one.kind.type
