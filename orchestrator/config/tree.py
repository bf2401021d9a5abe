"""An environment's file with what it extends merged under it; every value keeps the place that said it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.config import source
from orchestrator.config.words import meant
from orchestrator.declared import Where

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.config.source import Node
    from orchestrator.errors import Problem

FOLDER = "vault-config/environments"
_BESIDE = re.compile(r"[^/\\\x00]+\.yaml")


def environments(root: Path) -> tuple[str, ...]:
    """The names of whole environments; a file that says something else than `environment:` is a base for others."""
    return tuple(sorted(path.stem for path in (root / FOLDER).glob("*.yaml") if _is_whole(path)))


def _is_whole(path: Path) -> bool:
    """A file that cannot be read counts: whoever loads it is told why."""
    if "environment" in source.first_keys(path):
        return True
    node = source.read(path, path.name, [])
    return node is None or not isinstance(node.value, dict) or "environment" in node.value


def file_of(name: str) -> str:
    return f"{FOLDER}/{name}.yaml"


def whole(root: Path, name: str, problems: list[Problem]) -> Node | None:
    """The environment as its files say it, None where one of them cannot be read."""
    file = file_of(name)
    if "/" in name or "\0" in name or not (root / file).exists():
        what = f"there is no environment {name!r}; {meant(name, environments(root))}"
        problems.append(source.problem(Where(file, 1, 1), what))
        return None
    return _chain(root, file, (), problems)


def levels(root: Path, name: str) -> Iterator[Node]:
    """The environment's file as it would be without what lies over it: what it extends, one after the other."""
    files = [file_of(name)]
    while node := _chain(root, files[-1], (), []):
        yield node
        extends = source.read(root / files[-1], files[-1], [])
        named = extends.at(["extends"]) if extends else None
        if named is None:
            return
        files.append(f"{FOLDER}/{named.value}")


def _chain(root: Path, file: str, above: tuple[str, ...], problems: list[Problem]) -> Node | None:
    node = source.read(root / file, file, problems)
    if node is None or (extends := node.at(["extends"])) is None:
        return node
    if not isinstance(extends.value, str) or not _BESIDE.fullmatch(extends.value):
        return node
    base = f"{FOLDER}/{extends.value}"
    if base in (*above, file):
        files = " -> ".join(one.rpartition("/")[2] for one in (*above, file, base))
        problems.append(source.problem(extends.where, f"extends: a circle: {files}; take one out"))
        return None
    if not (root / base).exists():
        known = [path.name for path in (root / FOLDER).glob("*.yaml") if path.name != file.rpartition("/")[2]]
        hint = meant(extends.value, known)
        problems.append(source.problem(extends.where, f"extends: there is no {base}; {hint}"))
        return None
    under = _chain(root, base, (*above, file), problems)
    return merged(under, node) if under else None


def merged(base: Node, over: Node) -> Node:
    """Maps merge, null removes, and everything else replaces."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    value = dict(base.value)
    for key, one in over.items():
        if key in base.value and one.value is None:
            del value[key]
        else:
            value[key] = merged(base.value[key], one) if key in base.value else one
    remarks = (*base.remarks, *over.remarks)
    return over._replace(value=value, keys={**base.keys, **over.keys}, remarks=remarks)
