"""What is wrong with the seals of a cluster's file and no schema can say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.cluster.seals import SEALS
from orchestrator.config.checks import lacks
from orchestrator.config.source import is_open, problem
from orchestrator.config.words import A_LITERAL, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cluster.seals import SealKind
    from orchestrator.config.source import Node
    from orchestrator.declared import Cluster
    from orchestrator.errors import Problem

KEYS = ("seal", "migrate_from")
_PLUGINS = {
    "vault>=0": "HashiCorp Vault has the seal built in; leave it out",
    "openbao<2.6": "OpenBao takes seals from plugins since 2.6; leave it out",
}


def check_seals(said: Node, node: Node, cluster: Cluster | None) -> Iterator[Problem]:
    own = "run" in node.keys
    for key in KEYS:
        for kind, settings in declared(node, key):
            raw = said.at([key, kind.name]) or settings
            yield from _check_literals(f"{key}/{kind.name}", kind, raw)
            yield from _check_settings(f"{key}/{kind.name}", kind, settings, own=own)
            if cluster:
                yield from _check_server(f"{key}/{kind.name}", kind, settings, node.at([key]), cluster)
    yield from _check_both(said, node)
    yield from _check_plugins(node, cluster)


def declared(node: Node, key: str) -> Iterator[tuple[SealKind, Node]]:
    """The kind that stands under a key and its settings; nothing where it is none."""
    seal = node.at([key])
    for name, settings in seal.items() if seal else ():
        if name in SEALS:
            yield SEALS[name], settings


def _check_literals(title: str, kind: SealKind, settings: Node) -> Iterator[Problem]:
    for name, one in settings.items():
        if name in kind.secrets and one.value is not None and not is_reference(one.value):
            yield problem(one.where, f"{title}/{name}: {A_LITERAL}")


def _check_settings(title: str, kind: SealKind, settings: Node, *, own: bool) -> Iterator[Problem]:
    given = settings.keys
    for name, setting in kind.settings.items():
        if own and setting.brought and name in given:
            yield problem(given[name], f"{title}/{name}: a cluster that we start brings its own; leave it out")
    yield from _check_made(title, kind, settings, own=own)
    for names in kind.together:
        missing = [name for name in names if name not in given]
        if missing and len(missing) < len(names):
            there = next(name for name in names if name in given)
            yield problem(given[there], f"{title}/{there}: goes with {' and '.join(missing)}; write both or none")
    for names in kind.one_of:
        if not any(name in given for name in names):
            yield problem(settings.where, f"{title}: one of {' and '.join(names)} is missing; write one")
    for first, second in kind.differ:
        one, other = settings.at([first]), settings.at([second])
        if one and other and one.value == other.value:
            yield problem(other.where, f"{title}/{second}: is the same as {first}; write another")
    yield from _check_agreements(title, kind, settings)


def _check_made(title: str, kind: SealKind, settings: Node, *, own: bool) -> Iterator[Problem]:
    """What nobody makes on machines elsewhere has to be there."""
    for name in () if own else kind.made:
        if name not in settings.keys:
            yield problem(settings.where, f"{title}/{name}: missing; write {kind.settings[name].expected}")


def _check_agreements(title: str, kind: SealKind, settings: Node) -> Iterator[Problem]:
    for agreement in kind.agree:
        told = list(_told(settings, agreement.told))
        for name, value, one in told[1:]:
            first, known, _ = told[0]
            if value != known:
                what = f"is of {agreement.what} {value}, and {first} of {known}"
                yield problem(one.where, f"{title}/{name}: {what}; write a pair that belongs together")


def _told(settings: Node, patterns: object) -> Iterator[tuple[str, str, Node]]:
    """What each setting tells by its pattern."""
    for name, pattern in dict(patterns).items():  # type: ignore[call-overload]
        one = settings.at([name])
        if one and isinstance(one.value, str) and not is_open(one) and (found := re.search(pattern, one.value)):
            yield name, found[1], one


def _check_server(
    title: str, kind: SealKind, settings: Node, above: Node | None, cluster: Cluster
) -> Iterator[Problem]:
    if above and (reason := lacks(kind.absent, cluster)):
        yield problem(above.keys[kind.name], f"{title}: {reason}; choose another seal")
    for name, setting in kind.settings.items():
        if name in settings.keys and (reason := lacks(setting.absent, cluster)):
            yield problem(settings.keys[name], f"{title}/{name}: {reason}")


def _check_both(said: Node, node: Node) -> Iterator[Problem]:
    """A migration goes from one seal to another, and both read their secrets from one environment."""
    seal, left = (node.at([key]) for key in KEYS)
    if left is None:
        return
    plain = seal.plain() if seal else {"shamir": None}
    if _without_nothing(plain) == _without_nothing(left.plain()):
        told = "is the seal that is declared; write the one that is being left, or take it out"
        yield problem(node.keys["migrate_from"], f"migrate_from: {told}")
        return
    new = {variable: value for variable, value, _ in _secrets(said, "seal")}
    for variable, value, (title, where) in _secrets(said, "migrate_from"):
        if new.get(variable, value) != value:
            told = f"both seals read {variable}, and servers have one of it; write the same reference in both"
            yield problem(where.where, f"{title}: {told}")


def _without_nothing(plain: object) -> object:
    return {name: one or {} for name, one in plain.items()} if isinstance(plain, dict) else plain


def _secrets(said: Node, key: str) -> Iterator[tuple[str, object, tuple[str, Node]]]:
    for kind, settings in declared(said, key):
        for name, secret in kind.secrets.items():
            if one := settings.at([name]):
                yield secret.variable, one.value, (f"{key}/{kind.name}/{name}", one)


def _check_plugins(node: Node, cluster: Cluster | None) -> Iterator[Problem]:
    plugins = node.at(["plugins"])
    used = {kind.name: (key, kind) for key in KEYS for kind, _ in declared(node, key)}
    for name in plugins.keys if plugins else ():
        reason = "no seal of this name is declared; take it out" if name not in used else ""
        if plugins and (reason := reason or (lacks(_PLUGINS, cluster) if cluster else "")):
            yield problem(plugins.keys[name], f"plugins/{name}: {reason}")
    for name, (key, kind) in used.items():
        if cluster is None or not (reason := lacks(kind.plugin, cluster)):
            continue
        above = node.at([key])
        if above and (plugins is None or name not in plugins.keys):
            wanted = f"plugins: {{{name}: {{command: PROGRAM, sha256sum: SUM}}}}"
            yield problem(above.keys[name], f"{key}/{name}: the server has it by {reason}; write {wanted}")
        elif above and "run" not in node.keys and node.at(["settings", "plugin_directory"]) is None:
            told = "missing; write the folder of each node that holds the plugins"
            yield problem(node.keys["plugins"], f"settings/plugin_directory: {told}")
