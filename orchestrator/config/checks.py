"""What a schema cannot say: paths that collide, what a server lacks, secrets in the open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.catalog import SYSTEM
from orchestrator.config.source import problem
from orchestrator.config.words import A_LITERAL, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node
    from orchestrator.declared import Cluster
    from orchestrator.errors import Problem
    from orchestrator.model import Object

_RESERVED = {"secrets": ("sys", "identity", "cubbyhole", "auth", "audit"), "auth": ("token",)}
_MOUNT = re.compile(r"(?!\.{1,2}(/|$))[\w.@:=~-]+(/(?!\.{1,2}(/|$))[\w.@:=~-]+)*", re.ASCII)
_A_PATH = "write words of letters, digits and _ . @ : = ~ - joined by single slashes"
_API_PATH = re.compile(r"(?!\.{1,2}(/|$))[^\s/?#]+(/(?!\.{1,2}(/|$))[^\s/?#]+)*")
_NAME = re.compile(r"\w([\w.-]*\w)?", re.ASCII)
CONDITION = re.compile(r"(openbao|vault)(?:(>=|<)([0-9.]+))?")


def check_paths(found: Sequence[Entry]) -> Iterator[Problem]:
    mounts = {(one.kind.family, one.mount): one for one in found if one.object is None}
    namespaces = {one.name: one for one in found if one.object and _encloses(one.object)}
    for one in found:
        if one.object is None:
            yield from _check_mount(one, mounts)
            yield from _check_namespaces(one, namespaces)
        elif not one.object.single:
            yield from _check_name(one, mounts.get((one.kind.family, one.mount)))


def check_twins(found: Sequence[Entry]) -> Iterator[Problem]:
    """Objects under two keys that the server would keep in one place."""
    known: dict[tuple[str, ...], Entry] = {}
    for one in found:
        if one.object is None or not one.object.list:
            continue
        first = known.setdefault((one.kind.name, one.mount, one.object.list, one.name), one)
        if first is not one:
            told = f"the server keeps it in the place of {first.title} ({first.where}); rename one of them"
            yield problem(one.where, f"{one.title}: {told}")


def _check_mount(entry: Entry, mounts: Mapping[tuple[str, str], Entry]) -> Iterator[Problem]:
    if not _MOUNT.fullmatch(entry.mount):
        yield problem(entry.where, f"{entry.title}: {entry.mount!r} is not a mount path; {_A_PATH}")
        return
    first, *rest = entry.mount.split("/")
    if first in _RESERVED[entry.kind.family]:
        yield problem(entry.where, f"{entry.title}: the server keeps {first!r} for itself; choose another path")
    for count in range(1, len(rest) + 1):
        above = mounts.get((entry.kind.family, "/".join((first, *rest)[:count])))
        if above:
            yield problem(entry.where, f"{entry.title}: lies inside the mount {above.title} ({above.where}); move one")


def _encloses(one: Object) -> bool:
    return any(part.resource.encloses for part in one.parts)


def _check_namespaces(entry: Entry, namespaces: Mapping[str, Entry]) -> Iterator[Problem]:
    """A namespace takes every path below its name, but for those of auth methods, which begin with `auth/`."""
    for name, other in sorted(namespaces.items()) if entry.kind.family == "secrets" else ():
        if f"{entry.mount}/".startswith(f"{name}/") or name.startswith(f"{entry.mount}/"):
            yield problem(entry.where, f"{entry.title}: its path belongs to {other.title} ({other.where}); move one")
            return


def _check_name(entry: Entry, mount: Entry | None) -> Iterator[Problem]:
    also = entry.object.also if entry.object else ""
    resource = entry.object.parts[0].resource if entry.object and entry.object.parts else None
    if entry.object and entry.object.seed:
        if not _MOUNT.fullmatch(entry.name):
            yield problem(entry.where, f"{entry.title}: {entry.name!r} is not a secret's path; {_A_PATH}")
    elif resource and resource.path == f"{{{resource.name}}}":
        if not _API_PATH.fullmatch(entry.name):
            yield problem(entry.where, f"{entry.title}: {entry.name!r} is not an API path; write it like sys/quotas/x")
    elif resource and entry.object and entry.object.reserved & set(_parts(entry)):
        yield problem(entry.where, f"{entry.title}: the server keeps that name for itself; choose another")
    elif not all(_NAME.fullmatch(part.translate(dict.fromkeys(map(ord, also), "-"))) for part in _parts(entry)):
        signs = " ".join(f"{sign!r}" if sign == " " else sign for sign in ("_", ".", "-", *also))
        wanted = f"letters, digits and {signs} with a letter, a digit or _ at both ends"
        yield problem(entry.where, f"{entry.title}: {entry.name!r} is not a name; write {wanted}")
    elif entry.object and entry.name != (known := _known_as(entry, mount)):
        told = f"the server would call it {known!r}; write it so"
        what = "has capital letters" if entry.object.lower else "is not as HTTP headers are written"
        yield problem(entry.where, f"{entry.title}: {entry.name!r} {what}: {told}")


def _known_as(entry: Entry, mount: Entry | None) -> str:
    """What the server would call an object of that name."""
    if entry.object and entry.object.header:
        return "-".join(word.capitalize() for word in entry.name.split("-"))
    return entry.name.lower() if _is_lowered(entry, mount) else entry.name


def _is_lowered(entry: Entry, mount: Entry | None) -> bool:
    if entry.object is None or not entry.object.lower:
        return False
    flag = mount.node.get(entry.object.cased) if mount and entry.object.cased else None
    return flag is None or flag.value is not True


def _parts(entry: Entry) -> list[str]:
    return entry.name.split("/") if entry.object and entry.object.nested else [entry.name]


def check_secrets(found: Sequence[Entry], said: Node) -> Iterator[Problem]:
    """Secrets that are no references, before any placeholder is filled in."""
    for entry in found:
        for name, field, _ in entry.given:
            node = said.at([*entry.path, *name.split(".")]) if field.secret else None
            if node and node.value is not None and not is_reference(node.value):
                yield problem(node.where, f"{entry.title}/{name.replace('.', '/')}: {A_LITERAL}")


def check_files(root: Node) -> Iterator[Problem]:
    """What is written in YAML and has files of its own."""
    for name in (kind.name for kind in SYSTEM.values() if kind.in_files):
        if name in root.keys:
            yield problem(root.keys[name], f"{name}: each is a file of its own, {name}/NAME.hcl; move it there")


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
        if namespace and (entry.kind.root or (entry.object and entry.object.root)):
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
        for name, field, node in entry.given:
            of_value = field.lacking.get(node.value, {}) if isinstance(node.value, str) else {}
            if (field.absent or of_value) and (reason := lacks({**field.absent, **of_value}, cluster)):
                yield problem(node.where, f"{entry.title}/{name.replace('.', '/')}: {reason}")


def lacks(absent: Mapping[str, str], cluster: Cluster) -> str:
    """Why this cluster's server has no such thing; empty where it has.

    A bare `vault` means its free edition; `openbao<2.7` and `vault>=1.20` mean those versions in every edition.
    """
    return next((reason for condition, reason in absent.items() if _holds(condition, cluster)), "")


def _holds(condition: str, cluster: Cluster) -> bool:
    found = CONDITION.fullmatch(condition)
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
