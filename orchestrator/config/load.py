"""From files to an Environment: read everything, find every mistake, and only then answer."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.config import clusters, files, placeholders, policies, quick, tree
from orchestrator.config.beside import check_below, check_fits, check_needs
from orchestrator.config.checks import (
    check_choices,
    check_files,
    check_paths,
    check_place,
    check_secrets,
    check_server,
    check_twins,
)
from orchestrator.config.entries import entries, kind_of
from orchestrator.config.hooks import check_hooks, hooks
from orchestrator.config.limits import check_limits
from orchestrator.config.references import check_references
from orchestrator.config.schema import MOUNTED, environment_schema, kind_schema, schemas, sections
from orchestrator.config.source import problem
from orchestrator.config.tree import environments
from orchestrator.config.validate import validate
from orchestrator.declared import Environment
from orchestrator.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.config.entries import Entry
    from orchestrator.config.source import Node
    from orchestrator.declared import Cluster, Declaration
    from orchestrator.errors import Problem

__all__ = ["environments", "inside", "load", "schemas"]


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector of cycles would walk the growing tree again and again, and there are none in it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collector()
def load(root: Path, environment: str, environ: Mapping[str, str] | None) -> Environment:
    """The environment, or ConfigInvalid with every mistake of all its files.

    Placeholders are filled in from `environ`; where that is None they stay, so that any machine can validate.
    """
    problems: list[Problem] = []
    declared = policies.read(root, environment, problems)
    said = tree.whole(root, environment, problems)
    found = _environment(root, environment, said, environ, declared, problems) if said else None
    if problems or found is None:
        raise ConfigInvalid(sorted(set(problems)))
    return found


def _environment(
    root: Path,
    name: str,
    said: Node,
    environ: Mapping[str, str] | None,
    declared: list[Declaration],
    problems: list[Problem],
) -> Environment | None:
    node = placeholders.fill(said, environ, problems)
    problems += check_files(node)
    _validate(node, problems, filled=environ is not None)
    named = node.at(["cluster"])
    cluster = clusters.load(root, named, environ, problems) if named else None
    found = [files.fill(root, one, problems) for one in entries(node)]
    problems += check_paths(found)
    problems += check_twins(found)
    problems += check_secrets(found, said)
    problems += check_choices(found)
    problems += check_needs(found)
    problems += check_fits(found)
    problems += check_below(found)
    problems += check_place(found, _text(node.at(["namespace"])))
    problems += check_hooks(found, declared, node)
    problems += check_references(found, [one.name for one in declared])
    problems += _check_head(root, name, said, cluster)
    if cluster is None:
        return None
    problems += check_server(found, cluster)
    if problems:
        return None
    wrong, warnings = check_limits(found, node.remarks, lambda: _lower(root, name))
    problems += wrong
    plain = {key: one.plain() for key, one in node.items() if key in {"namespace", "owner", "approvals"}}
    everything = (*declared, *(one.declaration() for one in found))
    said_of = (plain.get("namespace", ""), plain.get("owner", ""))
    sign, beside = _text(node.at(["evidence", "sign"])), tuple(sorted(set(warnings)))
    return Environment(name, cluster, *said_of, everything, beside, plain.get("approvals", 1), sign, hooks(node))


def _lower(root: Path, name: str) -> Iterator[Entry]:
    """The entries of each file that the environment extends, as they would be without what lies over it."""
    for node in tree.levels(root, name):
        yield from entries(node)


def _validate(node: Node, problems: list[Problem], *, filled: bool) -> None:
    """Outer levels first; then each mount by its type, so that a message is about that type alone."""
    if not quick.of_environment()(node.value):
        validate(environment_schema(), node, (), problems, filled=filled)
    for family, name, path in _sections(node):
        part = node.at(path)
        if part and not quick.of_kind(family, name)(part.value):
            validate(kind_schema(family, name), node, path, problems, filled=filled)


def _sections(node: Node) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Each mount and each section of a system kind: its family, its kind, and the way to it."""
    for family in MOUNTED:
        section = node.at([family])
        for path, mount in section.items() if section else ():
            if kind := kind_of(family, mount):
                yield family, kind.name, (family, path)
    yield from (("system", name, (name,)) for name in sections() if node.at([name]))


def _check_head(root: Path, name: str, said: Node, cluster: Cluster | None) -> Iterator[Problem]:
    named, namespace = said.at(["environment"]), said.at(["namespace"])
    if named and isinstance(named.value, str) and named.value != name:
        yield problem(named.where, f"environment: must be the file's name; write {name}")
    if cluster is None:
        return
    if namespace and namespace.value and cluster.server == "vault" and cluster.edition == "community":
        reason = "namespaces need Vault Enterprise; leave it out, or write `edition: enterprise` in the cluster"
        yield problem(namespace.where, f"namespace: {reason}")
    for other in environments(root):
        if other != name and _place(tree.whole(root, other, [])) == _place(said):
            message = f"{tree.file_of(other)} has the same cluster and namespace; give each its own namespace"
            yield problem((named or said).where, f"environment: {message}")


def inside(root: Path, environment: Environment) -> dict[str, str]:
    """The environments in namespaces below this one's, on the same cluster: {name: namespace, seen from here}."""
    above = f"{environment.namespace}/".lstrip("/")
    places = {name: _place(tree.whole(root, name, [])) for name in environments(root) if name != environment.name}
    return {
        name: place[1].removeprefix(above)
        for name, place in places.items()
        if place and place[0] == environment.cluster.name and place[1].startswith(above) and place[1] != ""
    }


def _text(node: Node | None) -> str:
    return node.value if node and isinstance(node.value, str) else ""


def _place(node: Node | None) -> tuple[str, str] | None:
    """The cluster and the namespace that an environment owns."""
    if node is None:
        return None
    cluster, namespace = node.at(["cluster"]), node.at(["namespace"])
    return str(cluster.value if cluster else None), str(namespace.value or "" if namespace else "")
