"""`file:PATH` for a text that is no secret: the setting takes what the file says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config.source import problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node
    from orchestrator.documents import Json
    from orchestrator.errors import Problem

PREFIX = "file:"


def pattern(schema: Json) -> str:
    """What the text itself or the way to it looks like.

    >>> pattern({"pattern": "^-----BEGIN "})
    '^(-----BEGIN |file:.+$)'
    """
    return f"^({schema.get('pattern', '^.*$').removeprefix('^')}|{PREFIX}.+$)"


def fill(root: Path, entry: Entry, problems: list[Problem]) -> Entry:
    """The entry with the texts of the files that its settings name, each seen from the project's root."""
    for name, field, node in entry.given:
        if field.file and isinstance(node.value, str) and node.value.startswith(PREFIX) and "${" not in node.value:
            text = _text(root / Path(node.value.removeprefix(PREFIX)).expanduser())
            wanted = field.shape.schema.get("pattern", "")
            if not re.search(wanted, text or ""):
                told = "cannot be read; correct the path" if text is None else f"does not hold {field.shape.expected}"
                problems.append(problem(node.where, f"{entry.title}/{name.replace('.', '/')}: {node.value} {told}"))
            else:
                entry = replace(entry, node=_put(entry.node, name.split("."), node._replace(value=text)))
    return entry


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _put(node: Node, path: Sequence[str], value: Node) -> Node:
    """The node with another one at a path."""
    if not path:
        return value
    return node._replace(value={**node.value, path[0]: _put(node.value[path[0]], path[1:], value)})
