"""Values that are laxer than they should be, and the comments that accept them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config.source import is_open, problem, shown_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node, Remark
    from orchestrator.declared import Where
    from orchestrator.errors import Problem
    from orchestrator.model import Limit

_ALLOW = re.compile(r"allow\s+(?P<rules>[\w-]+(\s*,\s*[\w-]+)*)\s+because\s+\S.*")
Line = tuple[str, int, str]  # a file, a line in it, and a rule


@dataclass(frozen=True)
class Lax:
    """Something declared that breaks a rule, and what to say of it; `open` when only the machine knows its value."""

    where: Where
    rule: str
    told: str
    open: bool = False

    @property
    def line(self) -> Line:
        return self.where.file, self.where.line, self.rule

    @property
    def warning(self) -> Problem:
        accept = f"to accept it write on this line: # strongroom: allow {self.rule} because ..."
        return problem(self.where, f"warning: {self.told}; {accept}")


def judge(
    broken: Sequence[Lax], remarks: Iterable[Remark], lower: Callable[[], Iterable[Lax]] = tuple
) -> tuple[list[Problem], list[Problem]]:
    """What is wrong with the comments, and a warning for each lax value that none accepts.

    `lower` is what would be lax without the files that lie over others: a comment may accept one of those.
    """
    accepted = {line for remark in remarks for line in _lines(remark)}
    warnings = [one.warning for one in broken if not one.open and one.line not in accepted]
    idle = accepted - {one.line for one in broken}
    idle -= {one.line for one in lower()} if idle else set()
    return list(_problems(remarks, idle)), warnings


def check_limits(
    found: Sequence[Entry], remarks: Iterable[Remark], lower: Callable[[], Iterable[Entry]]
) -> tuple[list[Problem], list[Problem]]:
    """The same of an environment's settings; `lower` are the entries without the files that lie over them."""
    broken = [lax for entry in found for lax in _broken(entry)]
    return judge(broken, remarks, lambda: [lax for entry in lower() for lax in _broken(entry)])


def _broken(entry: Entry) -> Iterator[Lax]:
    """The values that a limit refuses, or that only the machine knows."""
    for name, field, node in entry.given:
        if field.limit and not meets(field.limit, node):
            yield of(node, field.limit, f"{entry.title}/{name.replace('.', '/')}")


def meets(limit: Limit, node: Node) -> bool:
    """Whether a value is known to be within a limit."""
    return not is_open(node) and limit.holds(node.plain())


def of(node: Node, limit: Limit, title: str) -> Lax:
    value = node.plain()
    shown = "this" if isinstance(value, list) else shown_scalar(value)
    return Lax(node.where, limit.rule, f"{title}: {shown}: {limit.reason}", is_open(node))


def _lines(remark: Remark) -> list[Line]:
    said = _ALLOW.fullmatch(remark.said)
    rules = re.split(r"\s*,\s*", said["rules"]) if said else []
    return [(remark.where.file, remark.where.line, rule) for rule in rules]


def _problems(remarks: Iterable[Remark], idle: set[Line]) -> Iterator[Problem]:
    for remark in remarks:
        lines = _lines(remark)
        if not lines:
            wanted = "# strongroom: allow RULE because REASON"
            yield problem(remark.where, f"`# strongroom: {remark.said}` says nothing to us; write {wanted}")
        for line in lines:
            if line in idle:
                yield problem(remark.where, f"nothing on this line breaks the rule {line[2]}; take the comment out")
