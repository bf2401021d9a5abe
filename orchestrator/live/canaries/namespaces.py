"""Namespaces: each answers, and has mounts of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server


def trials(mount: Mount) -> Iterator[Trial]:
    for one in mount.declared("namespaces"):
        yield Trial(one.title, "read its mounts from inside", partial(_prove, mount.server, one.name))


def _prove(server: Server, name: str) -> None:
    parent, _, own = name.rpartition("/")
    if _inside(server, parent).read(f"sys/namespaces/{own}") is None:
        raise Failed("the namespace is not there")
    inside = _inside(server, name)
    if not inside.read("sys/mounts"):
        raise Failed("the namespace has no mounts")


def _inside(server: Server, name: str) -> Server:
    return server.in_namespace("/".join(part for part in (server.namespace, name) if part))
