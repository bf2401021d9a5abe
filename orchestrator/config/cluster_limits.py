"""What a cluster's file may say but should not: warnings, each of which a comment on its line accepts."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from orchestrator.cluster.seals import SEALS
from orchestrator.config.cluster_built import split
from orchestrator.config.limits import Lax, meets, of
from orchestrator.config.seal_checks import KEYS, declared
from orchestrator.model import Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.config.source import Node
    from orchestrator.declared import Cluster
    from orchestrator.documents import Json

FEW = 2
_SLOW = 5


def _private_mode(value: Json) -> bool:
    return str(value)[-2:] == "00"


_SET = {
    "storage.raft.performance_multiplier": Limit(
        "slow-failover",
        lambda value: not isinstance(value, int) or value < _SLOW,
        "the nodes miss a lost leader late, for ten seconds or more; write 1",
    ),
    "settings.disable_standby_reads": Limit(
        "stale-reads",
        lambda value: value is not False,
        "a standby answers reads with what was true before a write, a new policy or a revocation",
    ),
    "settings.disable_mlock": Limit(
        "mlock", lambda value: value is not False, "HashiCorp advises against it beside integrated storage"
    ),
    "telemetry.unauthenticated_metrics": Limit(
        "open-metrics", lambda value: value is not True, "whoever reaches the listener reads the metrics"
    ),
}
_AUDITED = {
    "log_raw": Limit("raw-audit", lambda value: value is not True, "secrets stand in the audit log as they are"),
    "mode": Limit("open-audit", _private_mode, 'others on the machine read who did what; write "0600"'),
}


def lax(node: Node, cluster: Cluster) -> Iterator[Lax]:
    """Everything that breaks a rule, for a file that is right."""
    if not cluster.nodes:
        return
    yield from _set(node)
    yield from _nodes(node, cluster)
    yield from _seals(node, cluster)
    yield from _audit(node, cluster)
    yield from _listener(node, cluster)
    if not cluster.run:
        yield from _production(node, cluster)


def _set(node: Node) -> Iterator[Lax]:
    for name, limit in _SET.items():
        one = node.get(name)
        if one and not meets(limit, one):
            yield of(one, limit, name.replace(".", "/"))


def _nodes(node: Node, cluster: Cluster) -> Iterator[Lax]:
    where, count = node.keys["nodes"], len(cluster.nodes)
    zones = {one.zone for one in cluster.nodes}
    if count == 1:
        yield Lax(where, "one-node", "nodes: there is one, and the cluster is gone while it is; declare 3")
    elif len(zones) == 1 and (not cluster.run or zones != {""}):
        told = f"all {count} are in zone {zones.pop()}" if "" not in zones else "no zones are told"
        yield Lax(where, "one-zone", f"nodes: {told}, and the cluster is gone with that zone; spread them over 3")


def _seals(node: Node, cluster: Cluster) -> Iterator[Lax]:
    for key in KEYS:
        for kind, settings in declared(node, key):
            for name, one in settings.items():
                limit = kind.settings[name].limit if name in kind.settings else None
                if limit and not meets(limit, one):
                    yield of(one, limit, f"{key}/{kind.name}/{name}")
    where = node.keys.get("seal", node.keys["nodes"])
    kind = SEALS[cluster.seal.kind]
    if not kind.auto and len(cluster.nodes) > 1:
        told = "holders unseal each node by hand after each start; a KMS does it by itself"
        yield Lax(where, "unsealed-by-hand", f"seal: {told}")
    if kind.outside_limit and cluster.run != "local":
        yield Lax(where, kind.outside_limit.rule, f"seal/{kind.name}: {kind.outside_limit.reason}")
    if cluster.migrate_from:
        told = "stands after the migration too, unless it is taken out; take it out once every node has the new seal"
        yield Lax(node.keys["migrate_from"], "seal-migration", f"migrate_from: {told}")


def _audit(node: Node, cluster: Cluster) -> Iterator[Lax]:
    kept = [one for one in cluster.audit if one.options.get("file_path") != "discard"]
    if len(kept) < FEW:
        there = "there is no audit device" if not kept else f"{kept[0].name} is the only device"
        told = (
            f"{there}, and a request that no device takes is refused" if kept else f"{there}: nobody knows who did what"
        )
        where = node.keys.get("audit", node.keys["nodes"])
        yield Lax(where, "few-audit-devices", f"audit: {told}; declare two")
    audit = node.at(["audit"])
    for name, device in audit.items() if audit else ():
        for option, limit in _AUDITED.items():
            one = device.at([option])
            if one and not meets(limit, one):
                yield of(one, limit, f"audit/{name}/{option}")


def _listener(node: Node, cluster: Cluster) -> Iterator[Lax]:
    if cluster.run:
        return
    where = node.keys.get("listener", node.keys["nodes"])
    if cluster.listener.tls is None:
        yield Lax(where, "no-tls", "listener/tls: there is none, and whoever is on the way reads every secret")
    bind = node.at(["listener", "bind"])
    if bind and _is_public(cluster.listener.bind):
        told = "takes connections from anywhere; write a private address"
        yield Lax(
            bind.where, "public-listener", f"listener/bind: {cluster.listener.bind} {told}", "${" in str(bind.value)
        )
    nodes = node.at(["nodes"])
    for name, one in nodes.items() if nodes and not bind else ():
        address = one.at(["address"])
        if address and isinstance(address.value, str) and _is_public(split(address.value)[0]):
            told = f"{address.value} can be reached from the whole internet; write a private address"
            yield Lax(address.where, "public-listener", f"nodes/{name}/address: {told}")


def _is_public(host: str) -> bool:
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return found.is_unspecified or found.is_global


def _production(node: Node, cluster: Cluster) -> Iterator[Lax]:
    where = node.keys["cluster"]
    if cluster.snapshots is None:
        told = "none are declared, and what is lost with the nodes is gone; write {every: 6h, keep: 28, to: ...}"
        yield Lax(where, "no-snapshots", f"snapshots: {told}")
    if cluster.init.environment and not cluster.init.holders:
        told = "the keys of the cluster will lie beside each other in files here; name holders, each with a PGP key"
        yield Lax(node.keys["init"], "no-holders", f"init/holders: {told}")
