"""What is wrong with the audit devices of a cluster's file and no schema can say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.config.checks import lacks
from orchestrator.config.source import is_open, problem, shown_scalar
from orchestrator.config.words import meant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.config.source import Node
    from orchestrator.declared import Cluster
    from orchestrator.errors import Problem

FLAG = ("true or false", r"^(true|false)$")
TEXT = ("a text", r"^[\s\S]+$")
_FACILITIES = (
    "kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7]"  # as syslog itself names them
)


@dataclass(frozen=True)
class AuditKind:
    """One sort of device: its options, each with what to write and the pattern of that."""

    options: Mapping[str, tuple[str, str]]
    required: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()  # a cluster that we start has its own
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


_ANY = {
    "elide_list_responses": FLAG,
    "format": ("json or jsonx", "^jsonx?$"),
    "hmac_accessor": FLAG,
    "log_raw": FLAG,
    "prefix": TEXT,
}
_PREFIX = {"prefix": {"openbao": "OpenBao refuses it; leave it out"}}
_PATH = ("an absolute path, or stdout", "^(/.+|stdout|discard)$")
KINDS = {
    "file": AuditKind(
        {**_ANY, "path": _PATH, "file_path": _PATH, "mode": ('a mode in quotes, such as "0600"', "^[0-7]{3,4}$")},
        ("path",),
        ("path", "file_path"),
        _PREFIX,
    ),
    "syslog": AuditKind(
        {**_ANY, "facility": ("a facility such as AUTH or LOCAL0", f"^(?i:{_FACILITIES})$"), "tag": TEXT},
        absent=_PREFIX,
    ),
    "socket": AuditKind(
        {
            **_ANY,
            "address": ("HOST:PORT, or the path of a socket", r"^(/.+|[^/\s]+:[0-9]+)$"),
            "socket_type": ("tcp, udp or unix", "^(tcp|udp|unix)$"),
            "write_timeout": ("a duration such as 2s", r"^[0-9]+(ms|s|m)?$"),
        },
        ("address",),
        absent=_PREFIX,
    ),
}
_SAME = {"file_path": "path"}  # the server's own name of what people call path


def check_audit(node: Node, cluster: Cluster | None, *, own: bool) -> Iterator[Problem]:
    audit = node.at(["audit"])
    files: dict[str, str] = {}
    for name, device in audit.items() if audit else ():
        said = device.at(["type"])
        kind = KINDS.get(str(said.value) if said else name)
        if kind is None:
            if said is None and audit:
                known = ", ".join(KINDS)
                yield problem(audit.keys[name], f"audit/{name}/type: missing; write one of {known}")
            continue
        yield from _check_device(f"audit/{name}", kind, device, cluster, own=own)
        if audit:
            yield from _check_missing(f"audit/{name}", kind, device, audit, name, own=own)
        yield from _check_twins(name, device, files)


def _check_device(
    title: str, kind: AuditKind, device: Node, cluster: Cluster | None, *, own: bool
) -> Iterator[Problem]:
    for option, one in device.items():
        if option == "type":
            continue
        where = device.keys[option]
        if option not in kind.options:
            yield problem(where, f"{title}: unknown setting {option!r}; {meant(option, kind.options)}")
        elif own and option in kind.brought:
            yield problem(where, f"{title}/{option}: a cluster that we start brings its own; leave it out")
        elif cluster and (reason := lacks(kind.absent.get(option, {}), cluster)):
            yield problem(where, f"{title}/{option}: {reason}")
        elif isinstance(one.value, str | int) and not is_open(one):
            expected, pattern = kind.options[option]
            value = str(one.value).lower() if isinstance(one.value, bool) else str(one.value)
            if not re.fullmatch(pattern, value):
                yield problem(one.where, f"{title}/{option}: {shown_scalar(one.value)} is not {expected}")


def _check_missing(
    title: str, kind: AuditKind, device: Node, audit: Node, name: str, *, own: bool
) -> Iterator[Problem]:
    given = {_SAME.get(option, option) for option in device.keys}
    for option in kind.required:
        if option not in given and not (own and option in kind.brought):
            yield problem(audit.keys[name], f"{title}/{option}: missing; write {kind.options[option][0]}")
    if len(given) < len(device.keys):
        yield problem(audit.keys[name], f"{title}: path and file_path are one setting; write one of them")


def _check_twins(name: str, device: Node, files: dict[str, str]) -> Iterator[Problem]:
    one = device.at(["path"]) or device.at(["file_path"])
    if one is None or not isinstance(one.value, str) or is_open(one) or not one.value.startswith("/"):
        return
    other = files.setdefault(one.value, name)
    if other != name:
        yield problem(one.where, f"audit/{name}: device {other} writes the same file; give each its own")
