"""Password policies: each makes a password."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server


def trials(mount: Mount) -> Iterator[Trial]:
    for one in mount.declared("password_policies"):
        yield Trial(one.title, "make a password", partial(_prove, mount.server, one.name))


def _prove(server: Server, name: str) -> None:
    made = server.read(f"sys/policies/password/{name}/generate")
    if not (made or {}).get("password"):
        raise Failed("the policy makes no password")
