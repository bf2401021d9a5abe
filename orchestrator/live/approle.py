"""A new SecretID for an application, wrapped: the operator never sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.shapes import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json
    from orchestrator.live.server import Server


@dataclass(frozen=True)
class Issued:
    """A token that can be unwrapped once, before it expires."""

    token: str = field(repr=False)
    creation_path: str
    ttl: int
    expires: datetime
    accessor: str = ""  # by which the wrapping token is revoked

    @property
    def check(self) -> str:
        """What its receiver does with it."""
        return (
            f"before unwrapping, ask sys/wrapping/lookup: creation_path must be {self.creation_path}; "
            f"unwrap it (sys/wrapping/unwrap) once, before {self.expires:%Y-%m-%d %H:%M:%S %Z}; "
            "if either fails, somebody else may have had it: report it"
        )


def issue(server: Server, mount: str, role: str, wrap: str) -> Issued:
    """A wrapped SecretID of the role, to be unwrapped within `wrap`."""
    if not seconds(wrap):
        raise StrongroomError(f"{wrap!r} is no duration to wrap for; write it like 10m")
    path = f"auth/{mount}/role/{role}"
    if server.read(path) is None:
        there = ", ".join(server.list(f"auth/{mount}/role")) or "none"
        raise StrongroomError(f"auth/{mount} has no role {role}; the roles there are: {there}")
    return issued(server.write(f"{path}/secret-id", {}, wrap=f"{seconds(wrap)}s"))


def issued(wrapped: Mapping[str, Json]) -> Issued:
    """What the server's wrapping of an answer says."""
    ttl = int(wrapped["ttl"])
    made = datetime.fromisoformat(wrapped["creation_time"])
    expires = made + timedelta(seconds=ttl)
    return Issued(wrapped["token"], wrapped["creation_path"], ttl, expires, str(wrapped.get("accessor", "")))
