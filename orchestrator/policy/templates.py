"""What `{{identity...}}` in a policy's path stands for, for one entity."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.documents import Json
from orchestrator.policy.patterns import is_exact

Entity = Mapping[str, Json]
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
_PIECE = re.compile(r"(\{\{.*?\}\}|(?:(?<=/)|^)\+(?=/|$))")
_ODD = frozenset("/*+")


class _Absent(Exception):  # noqa: N818 - no error of ours: the server drops such a rule
    """The entity has no such thing."""


def is_template(path: str) -> bool:
    return "{{" in path


def filled(path: str, entity: Entity) -> str | None:
    """The path with all that is known of the entity; None where the server drops a rule for it.

    A value with a slash or a wildcard in it stays open, as servers differ on those; so does a group
    where nobody said which groups there are. The empty entity is the one of a token without any.
    """
    try:
        return _TEMPLATE.sub(lambda found: _known(found, entity), path)
    except _Absent:
        return None


def _known(found: re.Match[str], entity: Entity) -> str:
    value = _value(found[1].strip(), entity)
    return found[0] if value is None or _ODD & set(value) else value


def _value(directive: str, entity: Entity) -> str | None:
    """What a directive stands for; None where nobody can tell."""
    family, _, rest = directive.partition(".")
    about, _, rest = rest.partition(".")
    if family == "time":
        return None
    if family != "identity" or not entity:
        raise _Absent
    if about == "entity":
        return _of_entity(rest, entity)
    if about == "groups":
        return _of_group(rest, entity.get("groups"))
    raise _Absent


def _of_entity(rest: str, entity: Entity) -> str:
    if not rest.startswith("aliases."):
        return _of(rest, entity)
    accessor, _, rest = rest.removeprefix("aliases.").partition(".")
    aliases = [one for one in entity.get("aliases") or () if one.get("mount_accessor") == accessor]
    if not aliases:
        raise _Absent
    return _of(rest, aliases[0])


def _of_group(rest: str, groups: Json) -> str | None:
    if groups is None:
        return None
    by, _, rest = rest.partition(".")
    which, _, rest = rest.partition(".")
    told = [one for one in groups if one.get({"ids": "id", "names": "name"}.get(by, "")) == which]
    if not told:
        raise _Absent
    return _of(rest, told[0])


def _of(rest: str, holder: Mapping[str, Json]) -> str:
    key, _, inside = rest.partition(".")
    if inside and key in {"metadata", "custom_metadata"}:
        value = (holder.get(key) or {}).get(inside)
    else:
        value = holder.get(rest) if rest in {"id", "name"} else None
    if value is None or (value == "" and not inside):
        raise _Absent
    return str(value)


def may_cover(path: str, template: str, *, exactly: bool) -> bool:
    """Whether some entity could make of the template a pattern that covers the path."""
    if exactly != is_exact(_TEMPLATE.sub("x", template)):
        return False
    glob = template.endswith("*")
    pieces = _PIECE.split(template.removesuffix("*") if glob else template)
    expression = "".join(_expression(piece) for piece in pieces)
    return re.fullmatch(expression + (".*" if glob else ""), path, re.DOTALL) is not None


def _expression(piece: str) -> str:
    if piece == "+":
        return "[^/]*"
    if not piece.startswith("{{"):
        return re.escape(piece)
    return "[^/]+" if piece.rstrip("} ").endswith(".id") else ".*"
