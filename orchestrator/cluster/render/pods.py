"""A cluster as pods: numbered instead of named, with everything where the image has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.cluster.render.hcl import Block
from orchestrator.cluster.render.machine import BY_FILE, seal_file, seal_files
from orchestrator.cluster.render.product import product
from orchestrator.declared import Listener, Node, Raft, Tls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.declared import AuditDevice, Cluster, Seal
    from orchestrator.documents import Json

PORT, CLUSTER_PORT = 8200, 8201
REGISTERS = Block("service_registration", ("kubernetes",))
_EVERYWHERE = "::"
_HOSTNAME, _ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def in_pods(cluster: Cluster) -> Cluster:
    """The cluster with the names, addresses and paths that it has there."""
    home = product(cluster).home
    tls = cluster.listener.tls
    kept = Tls(f"{home}/tls/tls.crt", f"{home}/tls/tls.key", f"{home}/tls/ca.crt", tls.min_version) if tls else None
    return replace(
        cluster,
        nodes=tuple(_pod(cluster, number) for number in range(len(cluster.nodes))),
        listener=Listener(kept, cluster.listener.bind or _EVERYWHERE),
        seal=_seal(home, cluster.seal),
        migrate_from=_seal(home, cluster.migrate_from) if cluster.migrate_from else None,
        raft=Raft(f"{home}/data", cluster.raft.performance_multiplier),
        audit=tuple(_audit(home, one) for one in cluster.audit),
        settings={name: value for name, value in cluster.settings.items() if name != "disable_mlock"},  # no swap there
    )


def _pod(cluster: Cluster, number: int) -> Node:
    name = f"{cluster.name}-{number}"
    return Node(name, f"{name}.{headless(cluster)}", PORT, CLUSTER_PORT, cluster.nodes[number].zone)


def _audit(home: str, device: AuditDevice) -> AuditDevice:
    path = device.options.get("file_path", "")
    if device.type != "file" or "/" not in path:
        return device
    return replace(device, options={**device.options, "file_path": f"{home}/audit/{PurePosixPath(path).name}"})


def _seal(home: str, seal: Seal) -> Seal:
    """The files that it reads come from one Secret."""
    moved = {
        name: f"{BY_FILE if str(value).startswith(BY_FILE) else ''}{home}/seal/{PurePosixPath(file).name}"
        for name, value in seal.settings.items()
        if (file := seal_file(seal, name))
    }
    return replace(seal, settings={**seal.settings, **moved})


def headless(cluster: Cluster) -> str:
    return f"{cluster.name}-internal"


def labels(cluster: Cluster) -> dict[str, Json]:
    return {"app.kubernetes.io/name": cluster.server, "app.kubernetes.io/instance": cluster.name}


def volumes(cluster: Cluster) -> list[Json]:
    """What comes from Secrets, and what a read-only root leaves to be written."""
    secret = {"secretName": f"{cluster.name}-tls", "defaultMode": 0o440}
    files = {"secretName": f"{cluster.name}-seal-files", "defaultMode": 0o440}
    return [
        *([{"name": "tls", "secret": secret}] if cluster.listener.tls else []),
        *([{"name": "seal", "secret": files}] if seal_files(cluster) else []),
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]


def mounts(cluster: Cluster) -> list[Json]:
    home = product(cluster).home
    given = {"tls": cluster.listener.tls, "seal": seal_files(cluster)}
    return [
        *({"name": name, "mountPath": f"{home}/{name}", "readOnly": True} for name, there in given.items() if there),
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
    ]


def spread(cluster: Cluster, selector: dict[str, Json]) -> list[Json]:
    """Over zones: strictly where the nodes are declared in several."""
    strict = len({one.zone for one in cluster.nodes if one.zone}) > 1
    return [
        {
            "maxSkew": 1,
            "topologyKey": _ZONE,
            "whenUnsatisfiable": "DoNotSchedule" if strict else "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }
    ]


def apart(selector: dict[str, Json]) -> dict[str, Json]:
    """No two of them on one machine."""
    term = {"labelSelector": {"matchLabels": selector}, "topologyKey": _HOSTNAME}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def pod_security(cluster: Cluster) -> dict[str, Json]:
    known = product(cluster)
    return {
        "runAsNonRoot": True,
        "runAsUser": known.uid,
        "runAsGroup": known.gid,
        "fsGroup": known.gid,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


CONTAINER_SECURITY: Mapping[str, Json] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
ALIVE = "/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200"  # only silence and failure end a pod
READY = "/v1/sys/health?standbyok=true"


def moves_seal(cluster: Cluster) -> bool:
    """While a seal is left, health lies, and a pod that is ended for it starts that over."""
    return cluster.migrate_from is not None
