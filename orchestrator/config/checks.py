"""What a schema cannot say: paths that collide, what a server lacks, secrets in the open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.config.source import problem
from orchestrator.config.words import A_LITERAL, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node
    from orchestrator.declared import Cluster
    from orchestrator.errors import Problem

_RESERVED = {"secrets": ("sys", "identity", "cubbyhole", "auth", "audit"), "auth": ("token",)}
_MOUNT = re.compile(r"(?!\.{1,2}(/|$))[\w.@:=~-]+(/(?!\.{1,2}(/|$))[\w.@:=~-]+)*", re.ASCII)
_API_PATH = re.compile(r"(?!\.{1,2}(/|$))[^\s/?#]+(/(?!\.{1,2}(/|$))[^\s/?#]+)*")
_NAME = re.compile(r"\w([\w.-]*\w)?", re.ASCII)
_CONDITION = re.compile(r"(openbao|vault)(?:(>=|<)([0-9.]+))?")


def check_paths(found: Sequence[Entry]) -> Iterator[Problem]:
    mounts = {(one.kind.family, one.mount): one for one in found if one.object is None}
    for one in found:
        if one.object is None:
            yield from _check_mount(one, mounts)
        elif not one.object.single:
            yield from _check_name(one)


def _check_mount(entry: Entry, mounts: Mapping[tuple[str, str], Entry]) -> Iterator[Problem]:
    if not _MOUNT.fullmatch(entry.mount):
        wanted = "words of letters, digits and _ . @ : = ~ - joined by single slashes"
        yield problem(entry.where, f"{entry.title}: {entry.mount!r} is not a mount path; write {wanted}")
        return
    first, *rest = entry.mount.split("/")
    if first in _RESERVED[entry.kind.family]:
        yield problem(entry.where, f"{entry.title}: the server keeps {first!r} for itself; choose another path")
    for count in range(1, len(rest) + 1):
        above = mounts.get((entry.kind.family, "/".join((first, *rest)[:count])))
        if above:
            yield problem(entry.where, f"{entry.title}: lies inside the mount {above.title} ({above.where}); move one")


def _check_name(entry: Entry) -> Iterator[Problem]:
    resource = entry.object.parts[0].resource if entry.object else None
    if resource and resource.path == f"{{{resource.name}}}":
        if not _API_PATH.fullmatch(entry.name):
            yield problem(entry.where, f"{entry.title}: {entry.name!r} is not an API path; write it like sys/quotas/x")
    elif not all(_NAME.fullmatch(part) for part in _parts(entry)):
        wanted = "letters, digits and _ . - with a letter, a digit or _ at both ends"
        yield problem(entry.where, f"{entry.title}: {entry.name!r} is not a name; write {wanted}")
    elif entry.object and entry.object.lower and entry.name != entry.name.lower():
        told = f"the server would call it {entry.name.lower()!r}; write it so"
        yield problem(entry.where, f"{entry.title}: {entry.name!r} has capital letters: {told}")


def _parts(entry: Entry) -> list[str]:
    return entry.name.split("/") if entry.object and entry.object.nested else [entry.name]


def check_secrets(found: Sequence[Entry], said: Node) -> Iterator[Problem]:
    """Secrets that are no references, before any placeholder is filled in."""
    for entry in found:
        for name, field, _ in entry.given():
            node = said.at([*entry.path, *name.split(".")])
            if field.secret and node and node.value is not None and not is_reference(node.value):
                yield problem(node.where, f"{entry.title}/{name.replace('.', '/')}: {A_LITERAL}")


def check_choices(found: Sequence[Entry]) -> Iterator[Problem]:
    """Settings of an object, and objects of a mount, of which only one may be written."""
    for entry in found:
        for names in entry.object.one_of if entry.object else entry.kind.one_of:
            given = [node for name in names if (node := entry.node.get(name)) is not None]
            if len(given) > 1:
                written = " and ".join(names)
                yield problem(given[1].where, f"{entry.title}: {written} exclude each other; write one of them")


def check_place(found: Sequence[Entry], namespace: str) -> Iterator[Problem]:
    """What only the root namespace has, and a nested object whose parents nobody declares."""
    names = {(one.kind.id, one.name) for one in found}
    for entry in found:
        if entry.kind.root and namespace:
            told = "the server has one of it, in the root namespace; move it to the environment of that"
            yield problem(entry.where, f"{entry.title}: {told}")
        parent = entry.name.rpartition("/")[0]
        if entry.object and entry.object.nested and parent and (entry.kind.id, parent) not in names:
            yield problem(entry.where, f"{entry.title}: there is no {entry.kind.name}/{parent}; declare it too")


def check_server(found: Sequence[Entry], cluster: Cluster) -> Iterator[Problem]:
    """What is declared and the cluster's server lacks."""
    for entry in found:
        of_kind = entry.kind.absent if entry.object is None or not entry.kind.mount else {}
        of_object = entry.object.absent if entry.object else {}
        if reason := lacks({**of_object, **of_kind}, cluster):
            yield problem(entry.where, f"{entry.title}: {reason}")
        for name, field, node in entry.given():
            of_value = field.lacking.get(node.value, {}) if isinstance(node.value, str) else {}
            if reason := lacks({**field.absent, **of_value}, cluster):
                yield problem(node.where, f"{entry.title}/{name.replace('.', '/')}: {reason}")


def lacks(absent: Mapping[str, str], cluster: Cluster) -> str:
    """Why this cluster's server has no such thing; empty where it has.

    A bare `vault` means its free edition; `openbao<2.7` and `vault>=1.20` mean those versions in every edition.
    """
    return next((reason for condition, reason in absent.items() if _holds(condition, cluster)), "")


def _holds(condition: str, cluster: Cluster) -> bool:
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise ValueError(condition)
    server, operator, version = found.groups()
    if server != cluster.server:
        return False
    if not operator:
        return server == "openbao" or cluster.edition == "community"
    return (_numbers(cluster.version) >= _numbers(version)) == (operator == ">=")


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, comparable.

    >>> _numbers("2.10.1+ent") >= _numbers("2.7")
    True
    """
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"[-+]", version)[0]))
