"""A node's `server.hcl`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.cluster.render.hcl import Block, text
from orchestrator.cluster.render.product import product
from orchestrator.cluster.seals import SEALS
from orchestrator.shapes import duration, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.declared import AuditDevice, Cluster, Node, Seal
    from orchestrator.documents import Json


def server_hcl(cluster: Cluster, node: Node, more: Sequence[Block] = ()) -> str:
    """What this node starts with; secrets come by its environment."""
    return text(_head(cluster, node), [*_blocks(cluster, node), *more])


def shared_hcl(cluster: Cluster, more: Sequence[Block] = ()) -> str:
    """The same for whichever node reads it: its names and its addresses come by its environment."""
    return text(_head(cluster, None), [*_blocks(cluster, None), *more])


def _head(cluster: Cluster, node: Node | None) -> dict[str, Json]:
    own = {"api_addr": cluster.url(node), "cluster_addr": f"https://{node.cluster_host_port}"} if node else {}
    given = {name: value for name, value in cluster.settings.items() if name != "disable_mlock"}
    return {"cluster_name": cluster.name, **own, **_mlock(cluster), **given}


def _mlock(cluster: Cluster) -> dict[str, Json]:
    """Integrated storage maps its file into memory, which mlock would load whole: off unless it is asked for."""
    if not product(cluster).locks_memory:
        return {}
    return {"disable_mlock": cluster.settings.get("disable_mlock", True)}


def _blocks(cluster: Cluster, node: Node | None) -> Iterator[Block]:
    yield _listener(cluster, node or cluster.nodes[0])
    yield _raft(cluster, node)
    yield from _plugins(cluster)
    for seal, disabled in ((cluster.seal, False), (cluster.migrate_from, True)):
        if seal and SEALS[seal.kind].auto:
            yield _seal(seal, disabled=disabled)
    if product(cluster).audits_by_file:
        yield from map(_audit, cluster.audit)
    if cluster.telemetry:
        yield _telemetry(cluster)


def _listener(cluster: Cluster, node: Node) -> Block:
    tls, bind = cluster.listener.tls, cluster.listener.bind
    transport: dict[str, Json] = {"tls_disable": True}
    if tls:
        transport = {"tls_cert_file": tls.certificate, "tls_key_file": tls.key, "tls_min_version": tls.min_version}
    here = replace(node, host=bind.strip("[]")) if bind else node
    where = {"address": here.host_port, "cluster_address": here.cluster_host_port}
    metrics = cluster.telemetry.get("unauthenticated_metrics")
    inside = (Block("telemetry", (), {"unauthenticated_metrics_access": True}),) if metrics else ()
    unlocked: dict[str, Json] = (
        {"disable_unauthed_generate_root_endpoints": False} if cluster.listener.generate_root else {}
    )
    return Block("listener", ("tcp",), {**where, **transport, **unlocked}, inside)


def _raft(cluster: Cluster, node: Node | None) -> Block:
    own = {
        "path": cluster.raft.path,
        **({"node_id": node.name} if node else {}),
        "performance_multiplier": cluster.raft.performance_multiplier,
    }
    ca = {"leader_ca_cert_file": cluster.listener.tls.ca} if cluster.listener.tls and cluster.listener.tls.ca else {}
    joins = tuple(
        Block("retry_join", (), {"leader_api_addr": cluster.url(other), **ca})
        for other in cluster.nodes
        if node is None or other.name != node.name
    )
    return Block("storage", ("raft",), own, joins)


def _plugins(cluster: Cluster) -> Iterator[Block]:
    for name, one in cluster.plugins.items():
        args: dict[str, Json] = {"args": list(one.args)} if one.args else {}
        yield Block("plugin", ("kms", name), {"command": one.command, "sha256sum": one.sha256sum, **args})


def _seal(seal: Seal, *, disabled: bool) -> Block:
    plain = {name: value for name, value in seal.settings.items() if name not in SEALS[seal.kind].secrets}
    return Block("seal", (seal.kind,), {**plain, **({"disabled": "true"} if disabled else {})})


def _audit(device: AuditDevice) -> Block:
    return Block("audit", (device.type, device.name), {}, (Block("options", (), device.options),))


def _telemetry(cluster: Cluster) -> Block:
    kept = cluster.telemetry.get("prometheus_retention", "24h")
    return Block("telemetry", (), {"prometheus_retention_time": duration(seconds(kept)), "disable_hostname": True})
