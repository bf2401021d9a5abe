"""A leaked account of a database, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.incident.proofs import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.incident.ground import Ground


def account(ground: Ground, mount: str, name: str) -> Iterator[tuple[str, int]]:
    """Whose an account of this name may be, and the second in which it was made, 0 for one that stays."""
    server = ground.server
    for role in server.list(f"{mount}/static-roles"):
        if (server.read(f"{mount}/static-roles/{role}") or {}).get("username") == name:
            yield f"{mount}/static_roles/{role}", 0
    for connection in server.list(f"{mount}/config"):
        details = (server.read(f"{mount}/config/{connection}") or {}).get("connection_details") or {}
        if details.get("username") == name:
            yield f"{mount}/config/{connection}", 0
    for role in server.list(f"{mount}/roles"):
        if postgresql.is_of(role, name):
            yield f"{mount}/roles/{role}", postgresql.made_at(name)
