"""Values that are laxer than they should be, and the comments that accept them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.config.source import problem, shown_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node, Remark
    from orchestrator.errors import Problem
    from orchestrator.model import Limit

_ALLOW = re.compile(r"allow\s+(?P<rules>[\w-]+(\s*,\s*[\w-]+)*)\s+because\s+\S.*")
Line = tuple[str, int, str]  # a file, a line in it, and a rule


def check_limits(
    found: Sequence[Entry], remarks: Iterable[Remark], lower: Callable[[], Iterable[Entry]]
) -> tuple[list[Problem], list[Problem]]:
    """What is wrong with the comments, and a warning for each lax value that none accepts.

    `lower` are the entries as they would be without the files that lie over them: a comment may accept one of those.
    """
    broken = [(entry, name, limit, node) for entry in found for name, limit, node in _broken(entry)]
    accepted = {line for remark in remarks for line in _lines(remark)}
    warnings = [
        problem(node.where, _warning(f"{entry.title}/{name.replace('.', '/')}", limit, node))
        for entry, name, limit, node in broken
        if not _is_open(node) and _line(node, limit) not in accepted
    ]
    idle = accepted - {_line(node, limit) for *_, limit, node in broken}
    idle -= {_line(node, limit) for entry in lower() for _, limit, node in _broken(entry)} if idle else set()
    return list(_problems(remarks, idle)), warnings


def _broken(entry: Entry) -> Iterator[tuple[str, Limit, Node]]:
    """The values that a limit refuses, or that only the machine knows."""
    for name, field, node in entry.given:
        if field.limit and (_is_open(node) or not field.limit.holds(node.plain())):
            yield name, field.limit, node


def _is_open(node: Node) -> bool:
    return isinstance(node.value, str) and "${" in node.value


def _line(node: Node, limit: Limit) -> Line:
    return node.where.file, node.where.line, limit.rule


def _lines(remark: Remark) -> list[Line]:
    said = _ALLOW.fullmatch(remark.said)
    rules = re.split(r"\s*,\s*", said["rules"]) if said else []
    return [(remark.where.file, remark.where.line, rule) for rule in rules]


def _warning(title: str, limit: Limit, node: Node) -> str:
    value = node.plain()
    shown = "this" if isinstance(value, list) else shown_scalar(value)
    accept = f"to accept it write on this line: # strongroom: allow {limit.rule} because ..."
    return f"warning: {title}: {shown}: {limit.reason}; {accept}"


def _problems(remarks: Iterable[Remark], idle: set[Line]) -> Iterator[Problem]:
    for remark in remarks:
        lines = _lines(remark)
        if not lines:
            wanted = "# strongroom: allow RULE because REASON"
            yield problem(remark.where, f"`# strongroom: {remark.said}` says nothing to us; write {wanted}")
        for line in lines:
            if line in idle:
                yield problem(remark.where, f"nothing on this line breaks the rule {line[2]}; take the comment out")
