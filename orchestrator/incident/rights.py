"""The least rights of whoever revokes, out of the words by which the catalogue tells what is given out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.catalog import CATALOG
from orchestrator.incident import sign
from orchestrator.rights import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Environment
    from orchestrator.model import Gives, Kind, Object, Renew, Write

_METHODS = {"GET": ("read",), "LIST": ("list",), "POST": ("create", "update"), "DELETE": ("delete",)}
_ALWAYS = (
    ("auth/token/accessors", "list"),
    ("auth/token/lookup", "update"),
    ("auth/token/lookup-accessor", "update"),
    ("auth/token/lookup-self", "read"),
    ("auth/token/renew-self", "update"),
    ("auth/token/revoke-accessor", "update"),
    ("auth/token/revoke-self", "update"),
    ("sys/audit", "read"),
    ("sys/audit-hash/*", "update"),
    ("sys/auth", "read"),
    ("sys/capabilities-self", "update"),
    ("sys/leases/lookup", "list"),
    ("sys/leases/lookup", "update"),
    ("sys/leases/lookup/*", "list"),
    ("sys/leases/revoke", "update"),
    ("sys/mounts", "read"),
    ("sys/namespaces", "list"),
    ("sys/policies/acl", "list"),
    *(("sys/quotas/rate-limit/strongroom-*", one) for one in ("create", "read", "update", "delete")),
)


def policy(environment: Environment) -> str:
    """An HCL policy with what it takes to cut anything that the environment gives out, and to open it again."""
    mounts = {(one.kind.id, one.mount): one.kind for one in environment.declarations if one.kind.mount}
    beside = {(kind.id, ""): kind for kind in CATALOG.values() if kind.family == "system"}
    return written(
        (
            *_ALWAYS,
            *sign.rights(environment.sign),
            *(pair for (_, mount), kind in {**beside, **mounts}.items() for pair in _of(kind, mount)),
        )
    )


def _of(kind: Kind, mount: str) -> Iterator[tuple[str, str]]:
    if kind.shut:
        yield from ((_filled(kind.shut.path, mount), one) for one in ("read", "update"))
    for one in kind.objects:
        if one.shut or one.gives or one.renew:
            yield from _settings(one, mount)
        if one.renew:
            yield from _renewed(one.renew, mount)
        if one.alias:
            yield "identity/entity/id", "list"
            yield from ((_filled(path, mount), "read") for path in one.parts[0].resource.read_paths)
        for gives in one.gives:
            yield from _given(gives, mount)
    for leak in kind.leaks.values():
        for write in leak.needs:
            yield from _sent(write, mount)


def _given(gives: Gives, mount: str) -> Iterator[tuple[str, str]]:
    """How what is given out is told, found, ended and looked at."""
    if gives.telling[0]:
        yield _filled(gives.telling[0], mount), "read"
    if gives.list:
        yield _filled(gives.list, mount).rstrip("/"), "list"
    for write in (gives.end, gives.look if gives.look.path else None, gives.by_value, gives.then):
        yield from _sent(write, mount)


def _renewed(renew: Renew, mount: str) -> Iterator[tuple[str, str]]:
    yield from _sent(renew.write, mount)
    if renew.held:
        yield _filled(renew.held, mount), "read"


def _settings(one: Object, mount: str) -> Iterator[tuple[str, str]]:
    """What is shut and opened again, and where it is found by its name."""
    resource = one.parts[0].resource
    path = _filled(resource.path, mount)
    yield path, "read"
    if one.shut:
        yield path, "update"
    if resource.found:
        yield _filled(resource.found.path, mount).rstrip("/"), "list" if resource.found.path.endswith("/") else "read"
    if one.list and one.table is None:
        yield _filled(one.list, mount), "list"


def _sent(write: Write | None, mount: str) -> Iterator[tuple[str, str]]:
    if write is not None:
        yield from ((_filled(write.path, mount), one) for one in _METHODS[write.method])


def _filled(template: str, mount: str) -> str:
    """The path, with `+` for a name and `*` at the end for what may have slashes."""
    path = re.sub(r"{(mount|backend)}", lambda _: mount, template)
    path = re.sub(r"{(path)}", lambda _: mount or "+", path)
    return re.sub(r"{\w+}", "+", path).partition("?")[0]
