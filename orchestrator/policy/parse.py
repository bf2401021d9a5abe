"""A Vault policy: which paths it opens, and every mistake in it with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.config.words import meant
from orchestrator.errors import ConfigInvalid, Problem
from orchestrator.policy import hcl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Where
    from orchestrator.documents import Json
    from orchestrator.policy.hcl import Item, Value

CAPABILITIES = (
    *("create", "read", "update", "patch", "delete", "list", "sudo", "deny"),
    "scan",  # OpenBao
    *("subscribe", "recover"),  # Vault
)
LEGACY = {
    "deny": ("deny",),
    "read": ("read", "list"),
    "write": ("create", "read", "update", "delete", "list"),
    "sudo": ("create", "read", "update", "delete", "list", "sudo"),
}
SETTINGS = {
    "allowed_parameters",
    "capabilities",
    "comment",
    "control_group",
    "denied_parameters",
    "expiration",
    "list_scan_response_keys_filter_path",
    "max_wrapping_ttl",
    "mfa_methods",
    "min_wrapping_ttl",
    "pagination_limit",
    "policy",
    "required_parameters",
    "subscribe_event_types",
}
_EXAMPLE = 'write path "apps/data/x" { capabilities = ["read"] }'


@dataclass(frozen=True)
class Rule:
    """What one `path` stanza gives; `settings` is what it says beside its capabilities."""

    path: str
    capabilities: tuple[str, ...]
    where: Where
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """The rules of a policy, in the order of the file."""

    rules: tuple[Rule, ...]


def parse(text: str, file: str) -> Policy:
    """The policy in a text, or ConfigInvalid with every mistake; a text that is no HCL has one."""
    if text.lstrip().startswith("{"):
        raise ConfigInvalid([Problem(file, 1, 1, f"a policy in JSON; {_EXAMPLE}")])
    found = hcl.items(text, file)
    problems = list(_check(found, file))
    if problems:
        raise ConfigInvalid(problems)
    return Policy(tuple(rule(item) for item in found if item.keys[0] == "path"))


def rule(item: Item) -> Rule:
    settings = {one.keys[0]: one.value.plain() for one in item.value.content}
    capabilities = settings.pop("capabilities", [])
    legacy = LEGACY.get(settings.pop("policy", ""), ())
    return Rule(_path(item), tuple(dict.fromkeys((*capabilities, *legacy))), item.where, settings)


def _path(item: Item) -> str:
    """The path as the server keeps it: without a slash in front."""
    return item.keys[1].removeprefix("/")


def _check(found: tuple[Item, ...], file: str) -> Iterator[Problem]:
    stanzas: dict[str, Item] = {}
    for item in found:
        if not is_stanza(item):
            yield from _check_other(item)
            continue
        path = _path(item)
        if path in stanzas:
            yield _wrong(item.where, path, f"stands twice; the first is in line {stanzas[path].where.line}")
        stanzas.setdefault(path, item)
        yield from _check_stanza(path, item)
    if not found:
        yield Problem(file, 1, 1, f"the policy is empty; {_EXAMPLE}")


def is_stanza(item: Item) -> bool:
    return (
        item.keys[0] == "path" and len(item.keys) == len(("path", "its name")) and isinstance(item.value.content, tuple)
    )


def _check_other(item: Item) -> Iterator[Problem]:
    place = (item.where.file, item.where.line, item.where.column)
    if item.keys[0] == "path":
        yield Problem(*place, f"a path stanza has one path in quotes; {_EXAMPLE}")
    elif item.keys != ("name",):
        yield Problem(*place, f"unknown stanza {item.keys[0]!r}; {_EXAMPLE}")


def _wrong(where: Where, path: str, message: str) -> Problem:
    return Problem(where.file, where.line, where.column, f'path "{path}": {message}')


def _check_stanza(path: str, item: Item) -> Iterator[Problem]:
    if not path:
        yield _wrong(item.where, path, "an empty path; name one, or * for all")
    if "+*" in path:
        yield _wrong(item.where, path, "+* is refused by the server; write + for one segment or * at the end")
    seen: set[str] = set()
    for one in item.value.content:
        key = one.keys[0]
        if key not in SETTINGS:
            yield _wrong(one.where, path, f"unknown setting {key!r}; {meant(key, SETTINGS)}")
        if key in seen:
            yield _wrong(one.where, path, f"{key} stands twice; take one out")
        seen.add(key)
        if key == "capabilities":
            yield from _check_capabilities(path, one.value)
        if key == "policy" and str(one.value.plain()) not in LEGACY:
            yield _wrong(one.value.where, path, f"policy is one of {', '.join(LEGACY)}; better write capabilities")
    if not seen & {"capabilities", "policy"}:
        yield _wrong(item.where, path, 'no capabilities; write capabilities = ["read"]')


def _check_capabilities(path: str, value: Value) -> Iterator[Problem]:
    if not isinstance(value.content, list) or not value.content:
        yield _wrong(value.where, path, 'capabilities are a list of words; write ["read"], or ["deny"] for nothing')
        return
    for one in value.content:
        if one.content not in CAPABILITIES:
            word = str(one.plain())
            yield _wrong(one.where, path, f"unknown capability {word!r}; {meant(word, CAPABILITIES)}")
    words = [one.content for one in value.content]
    if "deny" in words and len(words) > 1:
        yield _wrong(value.where, path, "deny takes back all others; write it alone, or leave it out")
