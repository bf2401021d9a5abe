"""A second person's yes, where the environment asks for two: a token of another entity, which may revoke as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import Refused
from orchestrator.incident.ground import REVOKE, may_update
from orchestrator.live.server import Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground

_TWO = 2


def given(ground: Ground, ask: Callable[[], str]) -> str:
    """Who approves, in words for the journal; none where nobody is asked for and nobody came."""
    needed = ground.environment is not None and ground.environment.approvals >= _TWO
    token = ask()
    if not token and needed:
        raise Refused("this environment asks for two people: a second one gives a token of their own, --approve prompt")
    return _who(ground, token) if token else ""


def _who(ground: Ground, token: str) -> str:
    theirs = ground.server.as_token(token)
    try:
        facts = theirs.read("auth/token/lookup-self") or {}
        revokes = may_update(theirs, REVOKE)
    except Denied:
        facts, revokes = {}, False
    if wrong := _wrong(ground, facts, revokes=revokes):
        raise Refused(f"--approve: {wrong}")
    return f"{facts.get('display_name')}, entity {facts['entity_id']}"


def _wrong(ground: Ground, facts: Mapping[str, Json], *, revokes: bool) -> str:
    """Why this token approves nothing."""
    if not facts:
        return "the second token is refused: it expired, was revoked, or is another server's"
    if not facts.get("entity_id") or not ground.me.get("entity_id"):
        return "a token without an entity is nobody's: both people log in by themselves"
    if facts["entity_id"] == ground.me["entity_id"]:
        return "the second token is of the same entity as yours: it takes another person"
    if not revokes:
        return "the second person may not revoke either: give them the rights that invoke rights --incident prints"
    return ""
