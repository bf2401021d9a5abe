"""Leases that the server itself has given up: it no longer tries to end them, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.incident.ground import Ground

_IRREVOCABLE = "type=irrevocable"


def explained(ground: Ground, left: Mapping[str, str]) -> dict[str, str]:
    """Why each lives on, with the server's last error where it has stopped trying."""
    given_up = dict(_given_up(ground)) if left else {}
    return {key: _told(reason, given_up.get(key.partition(" ")[2])) for key, reason in left.items()}


def _told(reason: str, error: str | None) -> str:
    if error is None:
        return reason
    return f"{reason}; the server has given up ending it by itself, and its last error was: {error}"


def _given_up(ground: Ground) -> Iterator[tuple[str, str]]:
    try:
        found = ground.server.read("sys/leases", query=_IRREVOCABLE) or {}
    except (Denied, Rejected):  # it only adds to a reason that is told anyway
        return
    for one in found.get("leases") or ():
        yield str(one["lease_id"]), str(one["error"])
