"""`${NAME}` in a text of the YAML: what differs from machine to machine, taken from the process's environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.config.source import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.config.source import Node
    from orchestrator.errors import Problem

_PLACE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def fill(node: Node, environ: Mapping[str, str] | None, problems: list[Problem], path: tuple[str, ...] = ()) -> Node:
    """The node with its placeholders filled in; as it stands where `environ` is None, but for malformed ones."""
    if isinstance(node.value, dict):
        filled = {key: fill(one, environ, problems, (*path, key)) for key, one in node.value.items()}
        return node._replace(value=filled)
    if isinstance(node.value, list):
        return node._replace(value=[fill(one, environ, problems, path) for one in node.value])
    if not isinstance(node.value, str) or "${" not in node.value:
        return node
    return node._replace(value=_filled(node, environ, problems, "/".join(path)))


def _filled(node: Node, environ: Mapping[str, str] | None, problems: list[Problem], what: str) -> str:
    def put(found: re.Match[str]) -> str:
        name = found["name"]
        if found[0] == "$${":
            return "${" if environ is not None else found[0]
        if name is None:
            wrong = "`${` without a name; write ${NAME}, or $${ for the characters themselves"
            problems.append(problem(node.where, f"{what}: {wrong}"))
        elif environ is not None and name not in environ:
            problems.append(problem(node.where, f"{what}: ${{{name}}} is not set; export {name}=... and try again"))
        return environ.get(name, found[0]) if environ is not None and name else found[0]

    return _PLACE.sub(put, node.value)
