"""A node's `server.hcl`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.render.hcl import Block, text
from orchestrator.cluster.seals import SEALS
from orchestrator.shapes import duration, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import AuditDevice, Cluster, Node, Seal
    from orchestrator.documents import Json


def server_hcl(cluster: Cluster, node: Node) -> str:
    """What this node starts with; secrets come by its environment."""
    return text(_head(cluster, node), list(_blocks(cluster, node)))


def _head(cluster: Cluster, node: Node) -> dict[str, Json]:
    mlock = (
        {"disable_mlock": True} if cluster.server == "vault" else {}
    )  # integrated storage wants it; OpenBao has none
    return {
        "cluster_name": cluster.name,
        "api_addr": cluster.url(node),
        "cluster_addr": f"https://{node.cluster_host_port}",
        **mlock,
        **{name: value for name, value in cluster.settings.items() if name not in mlock},
    }


def _blocks(cluster: Cluster, node: Node) -> Iterator[Block]:
    yield _listener(cluster, node)
    yield _raft(cluster, node)
    yield from _plugins(cluster)
    for seal, disabled in ((cluster.seal, False), (cluster.migrate_from, True)):
        if seal and SEALS[seal.kind].auto:
            yield _seal(seal, disabled=disabled)
    if cluster.server == "openbao":  # HashiCorp Vault takes its audit devices by the API alone
        yield from map(_audit, cluster.audit)
    if cluster.telemetry:
        yield _telemetry(cluster)


def _listener(cluster: Cluster, node: Node) -> Block:
    tls, bind = cluster.listener.tls, cluster.listener.bind
    transport: dict[str, Json] = {"tls_disable": True}
    if tls:
        transport = {"tls_cert_file": tls.certificate, "tls_key_file": tls.key, "tls_min_version": tls.min_version}
    where = {
        "address": f"{bind}:{node.port}" if bind else node.host_port,
        "cluster_address": f"{bind}:{node.cluster_port}" if bind else node.cluster_host_port,
    }
    metrics = cluster.telemetry.get("unauthenticated_metrics")
    inside = (Block("telemetry", (), {"unauthenticated_metrics_access": True}),) if metrics else ()
    return Block("listener", ("tcp",), {**where, **transport}, inside)


def _raft(cluster: Cluster, node: Node) -> Block:
    own = {
        "path": cluster.raft.path,
        "node_id": node.name,
        "performance_multiplier": cluster.raft.performance_multiplier,
    }
    ca = {"leader_ca_cert_file": cluster.listener.tls.ca} if cluster.listener.tls and cluster.listener.tls.ca else {}
    joins = tuple(
        Block("retry_join", (), {"leader_api_addr": cluster.url(other), **ca})
        for other in cluster.nodes
        if other is not node and other.name != node.name
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
