"""What is wrong with a cluster's file and no schema can say: its nodes, and what does not go together."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from orchestrator.cluster import pgp
from orchestrator.config import source, tree
from orchestrator.config.audit_checks import check_audit
from orchestrator.config.checks import lacks
from orchestrator.config.cluster_built import split
from orchestrator.config.seal_checks import check_seals
from orchestrator.config.source import is_open, problem
from orchestrator.config.words import meant
from orchestrator.declared import Cluster
from orchestrator.shapes import DURATION_PATTERN, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.config.source import Node
    from orchestrator.errors import Problem

FOLDER = "vault-config/clusters"
MOST = 5
_HIGHEST = 65534  # as the port for the other nodes is the next one
_SHORTEST = 60
_OF_NODES = (
    "run",
    "storage",
    "seal",
    "migrate_from",
    "plugins",
    "listener",
    "audit",
    "telemetry",
    "init",
    "control",
    "settings",
)
_OURS = "a cluster that we start"
_BROUGHT = (
    ("address",),
    ("ca_cert",),
    ("control",),
    ("storage", "raft", "path"),
    ("listener", "bind"),
    ("listener", "tls", "certificate"),
    ("listener", "tls", "key"),
    ("listener", "tls", "ca"),
)
_TLS = ("certificate", "key", "ca")
_SETTINGS = {
    "disable_mlock": {"openbao": "OpenBao does not lock memory; leave it out and turn the swap off"},
    "disable_standby_reads": {"vault>=0": "HashiCorp Vault's standbys answer no reads; leave it out"},
}


def check(root: Path, said: Node, node: Node) -> Iterator[Problem]:
    """`said` is the file as it stands, `node` the same with its placeholders filled in."""
    if node.at(["embedded"]) and node.at(["embedded"]).value is True:  # type: ignore[union-attr]
        yield from _beside(node, "nodes", "the embedded stack is one server of its own; leave one of the two out")
    elif node.at(["nodes"]) is None:
        for key in (name for name in _OF_NODES if name in node.keys):
            yield problem(node.keys[key], f"{key}: it is of the nodes, and none is declared; declare `nodes:`")
    else:
        cluster = _server(node)
        yield from _check_nodes(node)
        yield from _check_run(node) if "run" in node.keys else _check_elsewhere(node)
        yield from check_seals(said, node, cluster)
        yield from check_audit(node, cluster, own=bool(_run(node)))
        yield from _check_settings(node, cluster)
        yield from _check_init(root, node)
        yield from _check_keys(root, node)
    yield from _check_snapshots(node)


def _beside(node: Node, key: str, why: str) -> Iterator[Problem]:
    for name in (key, *_OF_NODES):
        if name in node.keys:
            yield problem(node.keys[name], f"{name}: {why}")


def _server(node: Node) -> Cluster | None:
    """As much of the cluster as tells what its server has."""
    said = [node.at(["server", name]) for name in ("product", "version", "edition")]
    product, version, edition = (one.value if one and isinstance(one.value, str) else "" for one in said)
    return Cluster("", product, version, edition or "community") if product and version else None


def _run(node: Node) -> str:
    found = node.at(["run"])
    return found.value if found and isinstance(found.value, str) else ""


def _check_nodes(node: Node) -> Iterator[Problem]:
    nodes = node.at(["nodes"])
    if nodes is None or not isinstance(nodes.value, dict):
        return
    count, where = len(nodes.value), node.keys["nodes"]
    if count > MOST:
        yield problem(where, f"nodes: each write waits for most of the {count} nodes; write 1, 3 or {MOST}")
    elif count % 2 == 0 and count:
        fewer = (
            f"{count} nodes tolerate the loss of {(count - 1) // 2}, as {count - 1} would, and more of them can fail"
        )
        yield problem(where, f"nodes: {fewer}; write {count - 1} or {count + 1}")
    yield from _check_addresses(nodes)


def _check_addresses(nodes: Node) -> Iterator[Problem]:
    known: dict[tuple[str, int], str] = {}
    for name, one in nodes.items():
        address = one.at(["address"])
        if address is None or not isinstance(address.value, str) or is_open(address):
            continue
        try:
            host, port = split(address.value)
        except ValueError:
            continue  # the schema tells it
        if not 0 < port <= _HIGHEST:
            yield problem(address.where, f"nodes/{name}/address: {port} is no port; write one from 1 to {_HIGHEST}")
        for place, what in (
            ((host.lower(), port), ""),
            ((host.lower(), port + 1), ", whose next one is for the nodes"),
        ):
            other = known.setdefault(place, name)
            if other != name:
                told = f"{host}:{place[1]} is taken by node {other}{what}"
                yield problem(address.where, f"nodes/{name}/address: {told}; give each node its own")
                break


def _check_run(node: Node) -> Iterator[Problem]:
    """What is written of things that a cluster has by itself when we start it."""
    for path in _BROUGHT:
        above = node.at(path[:-1])
        if above and path[-1] in above.keys:
            yield problem(above.keys[path[-1]], f"{'/'.join(path)}: {_OURS} brings its own; leave it out")
    nodes = node.at(["nodes"])
    for name, one in nodes.items() if nodes else ():
        if "address" in one.keys:
            yield problem(one.keys["address"], f"nodes/{name}/address: {_OURS} brings its own; leave it out")
    tls = node.at(["listener", "tls"])
    if tls and tls.value is False:
        yield problem(tls.where, f"listener/tls: {_OURS} always has TLS; leave it out")


def _check_elsewhere(node: Node) -> Iterator[Problem]:
    nodes = node.at(["nodes"])
    for name, one in nodes.items() if nodes else ():
        if "address" not in one.keys and nodes:
            yield problem(nodes.keys[name], f"nodes/{name}/address: missing; write a host, or HOST:PORT")
    tls = node.at(["listener", "tls"])
    for key in _TLS if tls and isinstance(tls.value, dict) else ():
        if tls and key not in tls.keys:
            above = node.at(["listener"])
            where = above.keys["tls"] if above else tls.where
            yield problem(where, f"listener/tls/{key}: missing; write the path of a PEM file")


def _check_settings(node: Node, cluster: Cluster | None) -> Iterator[Problem]:
    settings = node.at(["settings"])
    for name, absent in _SETTINGS.items() if settings and cluster else ():
        if settings and cluster and name in settings.keys and (reason := lacks(absent, cluster)):
            yield problem(settings.keys[name], f"settings/{name}: {reason}")


def _check_snapshots(node: Node) -> Iterator[Problem]:
    every = node.at(["snapshots", "every"])
    if every is None or not isinstance(every.value, str | int) or is_open(every):
        return
    if re.fullmatch(DURATION_PATTERN, str(every.value)) and seconds(every.value) < _SHORTEST:
        yield problem(every.where, "snapshots/every: shorter than a minute; write an interval such as 6h")


def _check_init(root: Path, node: Node) -> Iterator[Problem]:
    init = node.at(["init"])
    if init is None:
        return
    yield from _check_shares(init)
    yield from _check_holders(root, init)
    yield from _check_beginning(root, node, init)


def _check_keys(root: Path, node: Node) -> Iterator[Problem]:
    """Two clusters in one folder would take each other's root token and unfinished beginning for their own."""
    place, name = node.at(["init", "keys"]), node.at(["cluster"])
    if place is None or not isinstance(place.value, str) or is_open(place):
        return
    for path in sorted((root / FOLDER).glob("*.yaml")):
        other = None if name and path.stem == name.value else source.read(path, path.name, [])
        theirs = other.at(["init", "keys"]) if other else None
        if (
            theirs
            and isinstance(theirs.value, str)
            and (root / theirs.value).resolve() == (root / place.value).resolve()
        ):
            told = f"{place.value} is where cluster {path.stem} has its keys; name a folder of its own"
            yield problem(place.where, f"init/keys: {told}")


def _check_shares(init: Node) -> Iterator[Problem]:
    holders = init.at(["holders"])
    people = len(holders.value) if holders and isinstance(holders.value, dict) else 0
    shares, threshold = (_whole(init.at([name])) for name in ("shares", "threshold"))
    if people and shares and shares != people:
        yield problem(init.keys["shares"], f"init/shares: {shares}, while {people} holders are declared; leave it out")
        return
    count = shares or people or 3
    if threshold and threshold > count:
        yield problem(
            init.keys["threshold"], f"init/threshold: {threshold} of {count} shares open nothing; write {count} or less"
        )
    elif threshold == 1 < count:
        told = "servers refuse it, as one holder alone could open the cluster"
        yield problem(init.keys["threshold"], f"init/threshold: 1 of {count}: {told}; write 2 or more, or one share")


def _whole(node: Node | None) -> int:
    return node.value if node and isinstance(node.value, int) and not isinstance(node.value, bool) else 0


def _check_holders(root: Path, init: Node) -> Iterator[Problem]:
    holders = init.at(["holders"])
    files: Counter[str] = Counter()
    for name, one in holders.items() if holders else ():
        if not isinstance(one.value, str) or is_open(one):
            continue
        what = f"init/holders/{name}: {one.value}"
        files[one.value] += 1
        if files[one.value] > 1:
            yield problem(one.where, f"{what} is the key of another holder too; give each their own")
            continue
        try:
            pgp.public((root / one.value).read_bytes())
        except OSError as error:
            yield problem(one.where, f"{what} cannot be read: {error.strerror}; correct the path")
        except pgp.NoPublicKeyError as error:
            yield problem(one.where, f"{what} {error}")


def _check_beginning(root: Path, node: Node, init: Node) -> Iterator[Problem]:
    """Whether somebody can come in once the root token is dead."""
    apply, login = init.at(["apply"]), node.at(["login"])
    if apply and isinstance(apply.value, str) and not is_open(apply):
        yield from _check_applied(root, node, apply)
    if apply and login is None:
        told = "the root token is revoked when the beginning is over, and nobody could come in; declare a login"
        yield problem(init.keys["apply"], f"init/apply: {told}")
    if login and login.at(["approle"]) and "role" not in init.keys:
        told = "missing; write the name of the AppRole role that the login is"
        yield problem(node.keys["init"], f"init/role: {told}")


def _check_applied(root: Path, node: Node, apply: Node) -> Iterator[Problem]:
    known = tree.environments(root)
    if apply.value not in known:
        yield problem(apply.where, f"init/apply: there is no environment {apply.value!r}; {meant(apply.value, known)}")
        return
    said = tree.whole(root, apply.value, [])
    theirs, ours = (one.at(["cluster"]) if one else None for one in (said, node))
    if theirs and ours and theirs.value != ours.value:
        told = f"{tree.file_of(apply.value)} is of cluster {theirs.value}; name an environment of this one"
        yield problem(apply.where, f"init/apply: {told}")
