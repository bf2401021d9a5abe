"""Entities, groups and policies as what leaked: whoever has them is cut."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import SHUT_POLICIES, SHUT_POLICY
from orchestrator.errors import Refused
from orchestrator.incident.ground import policies_of
from orchestrator.incident.model import Close, Gone, Rule, Scope, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground

ROOT = "root"


def _named(ground: Ground, what: str, value: str) -> Mapping[str, Json]:
    """An entity or a group by its name or its id."""
    for by in ("name", "id"):
        found = ground.server.read(f"identity/{what}/{by}/{value}")
        if found is not None:
            return found
    raise Gone(f"{what} {value}: there is none{within(ground.namespace)}, neither by name nor by id")


def entity(ground: Ground, value: str) -> Scope:
    """All tokens of an entity, whatever it logged in by; disabled, its batch tokens are refused too."""
    found = _named(ground, "entity", value)
    identity, title = found["id"], f"identity/entities/{found['name']}"
    close = Close(
        title, ground.namespace, f"identity/entity/id/{identity}", {"disabled": True}, "its logins and all its tokens"
    )
    return Scope((close,), (Rule(title, ground.namespace, lambda facts: facts.get("entity_id") == identity),))


def group(ground: Ground, value: str) -> Scope:
    """The tokens of all members, and of the members of its member groups."""
    found = _named(ground, "group", value)
    title = f"identity/groups/{found['name']}"
    members = frozenset(_members(ground, found))
    close = Close(
        title,
        ground.namespace,
        f"identity/group/id/{found['id']}",
        {"policies": SHUT_POLICIES},
        f"what {', '.join(found.get('policies') or ()) or 'no policy'} gave its members",
    )
    return Scope((close,), (Rule(title, ground.namespace, lambda facts: facts.get("entity_id") in members),))


def _members(ground: Ground, found: Mapping[str, Json], seen: frozenset[str] = frozenset()) -> set[str]:
    members = set(found.get("member_entity_ids") or ())
    for inner in found.get("member_group_ids") or ():
        if inner not in seen:
            below = ground.server.read(f"identity/group/id/{inner}") or {}
            members |= _members(ground, below, seen | {inner})
    return members


def policy(ground: Ground, value: str) -> Scope:
    """Every token that has a policy, by itself or by its entity and groups; the policy is emptied."""
    name = value.lower()  # as the server knows it, and tells it of tokens
    if name == ROOT:
        return _root(ground)
    path = f"sys/policies/acl/{name}"
    if (ground.server.read(path) or {}).get("name") != name:
        known = ", ".join(ground.server.list("sys/policies/acl"))
        raise Gone(f"policy {value}: there is none; the policies are: {known}")

    title = f"policies/{name}"
    close = Close(title, ground.namespace, path, {"policy": SHUT_POLICY}, "what the policy allowed, for whoever has it")
    return Scope((close,), (Rule(title, ground.namespace, partial(_has, name)),))


def _has(policy: str, facts: Mapping[str, Json]) -> bool:
    return policy in policies_of(facts)


def _root(ground: Ground) -> Scope:
    """Every root token but the caller's own: those of the root namespace, where nearly all are, and of this one.

    The policy itself cannot be shut, as no document stands behind it.
    """
    if not ground.me.get("orphan", True):
        raise Refused(
            "policy root: your own token has a parent, which may be a root token, and yours would die with it; "
            "come in by a login, or with an orphan"
        )
    notes = (
        f"policy {ROOT} cannot be shut: whoever holds enough unseal or recovery keys can make a new root token",
        "tokens that were made with a root token, and are no orphans, die with it; the server does not tell which",
    )
    rules = (Rule(f"policies/{ROOT}", one, partial(_has, ROOT)) for one in dict.fromkeys(("", ground.namespace)))
    return Scope(rules=tuple(rules), notes=notes)
