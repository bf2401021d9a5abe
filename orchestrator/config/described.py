"""What the catalogue says of a setting beside its form, in words: for editors and for the reference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.catalog import named
from orchestrator.config.checks import CONDITION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.model import Field, Kind

RAISE_IT = "a whole number; raise it to send the secret again"
_SERVERS = {
    ("openbao", None): "OpenBao",
    ("openbao", ">="): "OpenBao {} and newer",
    ("openbao", "<"): "OpenBao before {}",
    ("vault", None): "the free edition of HashiCorp Vault",
    ("vault", ">="): "HashiCorp Vault {} and newer",
    ("vault", "<"): "HashiCorp Vault before {}",
}


def shown(value: Json) -> str:
    """A value as a person writes it in YAML.

    >>> shown("ec"), shown(""), shown(True), shown(["a", "b"])
    ('ec', '""', 'true', '["a", "b"]')
    """
    return value if value and isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def remarks(kind: Kind, field: Field) -> Iterator[str]:
    """What a person should know before writing a setting, a sentence each."""
    if field.names:
        yield f"{'Each names' if isinstance(field.shape.cty, list) else 'Names'} {_named(kind, field)}"
    if field.only:
        beside = " and ".join(f"{name}: {shown(value)}" for name, value in field.only.items())
        yield f"The default holds beside {beside}"
    if field.official is not None:
        yield f"The provider's own default is {shown(field.official)}"
    if field.replace:
        yield "A change makes a new object"
    if field.lasting:
        yield "Once true, it stays true"
    if not (field.readable or field.secret):
        yield "Not read back: drift cannot see it"
    if field.limit:
        yield f"Held to the rule {field.limit.rule}: {field.limit.reason}"
    yield from lacking(field.absent)


def _named(kind: Kind, field: Field) -> str:
    """What a setting of the kind must name."""
    besides = "".join(f" or {name}" for name in field.besides)
    if field.names in {"policy", "auth"}:
        return f"{'a policy' if field.names == 'policy' else 'an auth mount'}{besides}"
    if field.names.startswith("mount:"):
        return f"another mount of type {field.names.removeprefix('mount:')}{besides}"
    targets = (one.key if holder is kind else f"{holder.name}/{one.key}" for holder, one in named(kind, field.names))
    return f"one of {' or '.join(targets)}{besides}"


def lacking(absent: Mapping[str, str]) -> Iterator[str]:
    """Which servers have no such thing, and the way out.

    >>> list(lacking({"openbao>=2.7": "OpenBao 2.7 dropped it; register a plugin"}))
    ['Not on OpenBao 2.7 and newer: OpenBao 2.7 dropped it; register a plugin']
    """
    yield from (f"Not on {server(condition)}: {reason}" for condition, reason in absent.items())


def server(condition: str) -> str:
    """The servers that the catalogue means by a word such as `openbao<2.7`."""
    name, operator, version = CONDITION.fullmatch(condition).groups()  # type: ignore[union-attr]
    return _SERVERS[name, operator].format(version)
