"""What an environment's `on_revoke` says: which program puts something new in the place of what leaked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.source import problem
from orchestrator.config.words import meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node
    from orchestrator.declared import Declaration
    from orchestrator.errors import Problem

SECTION = "on_revoke"


def hooks(node: Node) -> dict[str, tuple[str, ...]]:
    """The commands by the titles of their objects."""
    section = node.at([SECTION])
    said = section.plain() if section else {}
    return {title: tuple(command) for title, command in (said or {}).items()}


def check_hooks(found: Iterable[Entry], policies: Iterable[Declaration], node: Node) -> Iterator[Problem]:
    """Titles under which nothing is declared: their hooks would never be called."""
    section = node.at([SECTION])
    if section is None or not isinstance(section.value, dict):
        return
    titles = {one.declaration().title for one in found} | {one.title for one in policies}
    for title in section.value.keys() - titles:
        yield problem(section.keys[title], f"{SECTION}: nothing is declared as {title!r}; {meant(title, titles)}")
