"""Terraform's `-json` lines as events; whatever we do not know is passed over."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Expected:
    """What an apply is about to do; Terraform does not say it, as it does not know our names."""

    titles: Mapping[str, str]  # by address


@dataclass(frozen=True)
class PlannedChange:
    address: str
    action: str


@dataclass(frozen=True)
class Refreshed:
    address: str


@dataclass(frozen=True)
class Started:
    address: str
    action: str


@dataclass(frozen=True)
class Completed:
    address: str
    action: str
    elapsed: float


@dataclass(frozen=True)
class Errored:
    address: str
    action: str
    elapsed: float


@dataclass(frozen=True)
class Summary:
    operation: str  # "plan", "apply" or "destroy"
    add: int
    change: int
    remove: int
    imported: int


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning in Terraform's own words."""

    severity: str
    summary: str
    detail: str
    address: str | None = None
    attribute: str | None = None

    def __str__(self) -> str:
        where = ".".join(part for part in (self.address, self.attribute) if part)
        return ": ".join(part for part in (where, _line(self.summary), _line(self.detail)) if part)


Event = Expected | PlannedChange | Refreshed | Started | Completed | Errored | Summary | Diagnostic


class Progress(Protocol):
    """Who wants to hear what Terraform does."""

    def __call__(self, event: Event, /) -> None: ...


def parse(line: str) -> Event | None:
    """The event in one line of Terraform's output, if it tells one.

    >>> parse('{"type": "refresh_complete", "hook": {"resource": {"addr": "terraform_data.a"}}}')
    Refreshed(address='terraform_data.a')
    >>> parse("Successfully configured the backend") is None
    True
    """
    message = _message(line)
    reader = READERS.get(message.get("type"))
    try:
        return reader(message) if reader else None
    except (KeyError, TypeError):  # a newer Terraform's shape of a line must not stop an apply half way
        return None


def is_message(line: str) -> bool:
    """Whether the line is machine-readable; Terraform's init and its warnings are not always."""
    return bool(_message(line))


def _message(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) and "type" in message else {}


def _planned(message: dict[str, Any]) -> Event:
    change = message["change"]
    return PlannedChange(change["resource"]["addr"], change["action"])


def _refreshed(message: dict[str, Any]) -> Event:
    return Refreshed(message["hook"]["resource"]["addr"])


def _started(message: dict[str, Any]) -> Event:
    hook = message["hook"]
    return Started(hook["resource"]["addr"], hook["action"])


def _completed(message: dict[str, Any]) -> Event:
    hook = message["hook"]
    return Completed(hook["resource"]["addr"], hook["action"], hook.get("elapsed_seconds", 0))


def _errored(message: dict[str, Any]) -> Event:
    hook = message["hook"]
    return Errored(hook["resource"]["addr"], hook["action"], hook.get("elapsed_seconds", 0))


def _summary(message: dict[str, Any]) -> Event:
    changes = message["changes"]
    return Summary(changes["operation"], changes["add"], changes["change"], changes["remove"], changes.get("import", 0))


def _diagnostic(message: dict[str, Any]) -> Event:
    said = message["diagnostic"]
    snippet = said.get("snippet") or {}
    address = said.get("address") or _address(snippet.get("context"))
    attribute = _attribute(snippet.get("code") or "", snippet.get("highlight_start_offset", 0))
    return Diagnostic(said["severity"], said["summary"], said.get("detail", ""), address, attribute)


def _address(context: str | None) -> str | None:
    """The resource a snippet stands in; mistakes found before planning carry no address.

    >>> _address("resource.terraform_data.a.lifecycle"), _address('resource "terraform_data" "a"')
    ('terraform_data.a', 'terraform_data.a')
    """
    block = re.match(r'resource[. ]"?([\w-]+)"?[. ]"?([\w-]+)"?', context or "")
    return f"{block[1]}.{block[2]}" if block else None


def _attribute(code: str, position: int) -> str | None:
    """The argument that stands at a position of a line, in JSON or in HCL.

    >>> _attribute('"a": {"input": "${nope.x}"}', 17), _attribute("  input = nope.x", 10)
    ('input', 'input')
    """
    keys = re.finditer(r'"([\w-]+)"\s*:|\b([\w-]+)\s*=(?![=>])', code)
    before = [key[1] or key[2] for key in keys if key.start() <= position]
    return before[-1] if before else None


def _line(text: str) -> str:
    return " ".join(text.split())


READERS: dict[object, Callable[[dict[str, Any]], Event]] = {
    "planned_change": _planned,
    "refresh_complete": _refreshed,
    "apply_start": _started,
    "apply_complete": _completed,
    "apply_errored": _errored,
    "change_summary": _summary,
    "diagnostic": _diagnostic,
}
