"""Values for the official chart of the declared product; release and namespace are the caller's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.render import kubernetes, pods
from orchestrator.cluster.render.machine import audit_files, seal_variables
from orchestrator.cluster.render.product import image, product
from orchestrator.cluster.render.server import shared_hcl
from orchestrator.config.source import written

if TYPE_CHECKING:
    from orchestrator.declared import Cluster
    from orchestrator.documents import Json


def values(cluster: Cluster) -> str:
    """The values of a cluster that is given as pods."""
    return written(
        {
            "fullnameOverride": cluster.name,  # the names of the pods are in the configuration
            "global": {"tlsDisable": cluster.listener.tls is None},
            "injector": {"enabled": False},
            "server": _server(cluster),
        }
    )


def _server(cluster: Cluster) -> Json:
    home = product(cluster).home
    _, _, tag = image(cluster).rpartition(":")
    selector = {**_labels(cluster), "component": "server"}
    security = {"pod": pods.pod_security(cluster), "container": dict(pods.CONTAINER_SECURITY)}
    return {
        "image": {"repository": image(cluster).removesuffix(f":{tag}"), "tag": tag},
        "updateStrategyType": "OnDelete",
        "ha": _ha(cluster),
        "dataStorage": {"enabled": True, "size": kubernetes.DISK, "mountPath": f"{home}/data"},
        "auditStorage": {
            "enabled": bool(audit_files(cluster)),
            "size": kubernetes.DISK,
            "mountPath": f"{home}/audit",
        },
        "extraSecretEnvironmentVars": [
            {"envName": name, "secretName": f"{cluster.name}-seal", "secretKey": name}
            for name, asked in seal_variables(cluster).items()
            if asked  # the chart cannot say that a key may be missing
        ],
        "volumes": pods.volumes(cluster),
        "volumeMounts": pods.mounts(cluster),
        "affinity": pods.apart(selector),
        "topologySpreadConstraints": pods.spread(cluster, selector),
        "readinessProbe": {"enabled": True, "path": pods.READY},
        "livenessProbe": {
            "enabled": not pods.moves_seal(cluster),
            "path": pods.ALIVE,
            "initialDelaySeconds": 300,  # it knows no startup probe
            "failureThreshold": 6,
            "periodSeconds": 10,
        },
        "terminationGracePeriodSeconds": 60,
        "statefulSet": {"securityContext": security},
        "networkPolicy": {
            "enabled": True,
            "ingress": kubernetes.ingress(cluster),
            "egress": kubernetes.egress(cluster),
        },
    }


def _labels(cluster: Cluster) -> dict[str, Json]:
    """What the chart writes onto its pods; the instance is the release."""
    return {"app.kubernetes.io/name": cluster.server, "app.kubernetes.io/instance": cluster.name}


def _ha(cluster: Cluster) -> Json:
    prefix = product(cluster).prefix
    return {
        "enabled": True,
        "replicas": len(cluster.nodes),
        "apiAddr": f"{cluster.scheme}://$({prefix}_K8S_POD_NAME).{pods.headless(cluster)}:{pods.PORT}",
        "raft": {"enabled": True, "setNodeId": True, "config": shared_hcl(cluster, [pods.REGISTERS])},
        "disruptionBudget": {"enabled": True, "maxUnavailable": 1},
    }
