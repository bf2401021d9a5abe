"""Plain manifests: a StatefulSet and what belongs to it, one file an object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.cluster.render import pods
from orchestrator.cluster.render.machine import audit_files, seal_variables, seals
from orchestrator.cluster.render.product import image, product
from orchestrator.cluster.render.server import server_hcl
from orchestrator.cluster.seals import SEALS
from orchestrator.config.source import written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.declared import Cluster
    from orchestrator.documents import Json

DISK = "10Gi"
_HTTPS, _KUBERNETES_API, _DNS = 443, 6443, 53
_HOST_PORT = re.compile(r"[^/\s:]+:([0-9]+)")
_METADATA = "169.254.169.254/32"
_MINUTES = 30  # a KMS that hangs keeps the listener closed, and another start would not help it sooner


def manifests(cluster: Cluster) -> dict[str, str]:
    """The files of a cluster that is given as pods."""
    return {f"{name}.yaml": written(document) for name, document in _objects(cluster).items()}


def _objects(cluster: Cluster) -> Mapping[str, Json]:
    return {
        "serviceaccount": _object(cluster, "v1", "ServiceAccount", cluster.name, automountServiceAccountToken=False),
        "role": _role(cluster),
        "rolebinding": _binding(cluster),
        "configmap": _configuration(cluster),
        "service-headless": _headless(cluster),
        "service": _service(cluster, cluster.name, {}),
        "service-active": _service(cluster, f"{cluster.name}-active", {f"{cluster.server}-active": "true"}),
        "statefulset": _statefulset(cluster),
        "poddisruptionbudget": _object(
            cluster,
            "policy/v1",
            "PodDisruptionBudget",
            cluster.name,
            spec={"maxUnavailable": 1, "selector": {"matchLabels": pods.labels(cluster)}},
        ),
        "networkpolicy": _object(
            cluster, "networking.k8s.io/v1", "NetworkPolicy", cluster.name, spec=_network_policy(cluster)
        ),
    }


def _object(cluster: Cluster, version: str, kind: str, name: str, **more: Json) -> dict[str, Json]:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": pods.labels(cluster)},
        **more,
    }


def _role(cluster: Cluster) -> Json:
    """A server writes onto its own pod whether it leads: the active service looks at that."""
    names = [node.name for node in cluster.nodes]
    rule = {"apiGroups": [""], "resources": ["pods"], "resourceNames": names, "verbs": ["get", "patch", "update"]}
    return _object(cluster, "rbac.authorization.k8s.io/v1", "Role", cluster.name, rules=[rule])


def _binding(cluster: Cluster) -> Json:
    return _object(
        cluster,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        cluster.name,
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": cluster.name},
        subjects=[{"kind": "ServiceAccount", "name": cluster.name}],
    )


def _configuration(cluster: Cluster) -> Json:
    files = {f"{node.name}.hcl": server_hcl(cluster, node, [pods.REGISTERS]) for node in cluster.nodes}
    return _object(cluster, "v1", "ConfigMap", f"{cluster.name}-config", data=files)


def _ports(*, named: bool) -> list[Json]:
    numbers = {"api": pods.PORT, "cluster": pods.CLUSTER_PORT}
    return [{"name": name, "port" if named else "containerPort": number} for name, number in numbers.items()]


def _headless(cluster: Cluster) -> Json:
    """Nodes must find each other before they are ready: what is sealed has to join."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": pods.labels(cluster),
        "ports": _ports(named=True),
    }
    return _object(cluster, "v1", "Service", pods.headless(cluster), spec=spec)


def _service(cluster: Cluster, name: str, more: dict[str, Json]) -> Json:
    ports = [{"name": "api", "port": pods.PORT, "targetPort": "api"}]
    return _object(cluster, "v1", "Service", name, spec={"selector": {**pods.labels(cluster), **more}, "ports": ports})


def _statefulset(cluster: Cluster) -> Json:
    spec = {
        "serviceName": pods.headless(cluster),
        "replicas": len(cluster.nodes),
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},  # `invoke cluster.upgrade` says which one, and when
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "selector": {"matchLabels": pods.labels(cluster)},
        "template": {"metadata": {"labels": pods.labels(cluster)}, "spec": _pod(cluster)},
        "volumeClaimTemplates": [_claim(name) for name in _claims(cluster)],
    }
    return _object(cluster, "apps/v1", "StatefulSet", cluster.name, spec=spec)


def _claims(cluster: Cluster) -> dict[str, str]:
    """By name: where each is mounted."""
    home = product(cluster).home
    return {"data": f"{home}/data", **({"audit": f"{home}/audit"} if audit_files(cluster) else {})}


def _claim(name: str) -> Json:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": DISK}}}
    return {"metadata": {"name": name}, "spec": spec}


def _pod(cluster: Cluster) -> Json:
    configuration = {"name": "config", "configMap": {"name": f"{cluster.name}-config"}}
    return {
        "serviceAccountName": cluster.name,
        "automountServiceAccountToken": True,  # for that role
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": pods.pod_security(cluster),
        "affinity": pods.apart(pods.labels(cluster)),
        "topologySpreadConstraints": pods.spread(cluster, pods.labels(cluster)),
        "containers": [_container(cluster)],
        "volumes": [configuration, *pods.volumes(cluster)],
    }


def _container(cluster: Cluster) -> Json:
    known = product(cluster)
    claims = [{"name": name, "mountPath": path} for name, path in _claims(cluster).items()]
    configuration = {"name": "config", "mountPath": f"{known.home}/config", "readOnly": True}
    return {
        "name": cluster.server,
        "image": image(cluster),
        "command": [known.program],
        "args": ["server", f"-config={known.home}/config/$({known.prefix}_K8S_POD_NAME).hcl"],
        "env": _environment(cluster),
        "ports": _ports(named=False),
        "securityContext": dict(pods.CONTAINER_SECURITY),
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        **_probes(cluster),
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},  # until nobody is sent here any more
        "volumeMounts": [configuration, *claims, *pods.mounts(cluster)],
    }


def _environment(cluster: Cluster) -> list[Json]:
    prefix = product(cluster).prefix
    fields = {f"{prefix}_K8S_POD_NAME": "metadata.name", f"{prefix}_K8S_NAMESPACE": "metadata.namespace"}
    return [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the container's own
        *(_secret(cluster, name, asked=asked) for name, asked in seal_variables(cluster).items()),
    ]


def _secret(cluster: Cluster, name: str, *, asked: bool) -> Json:
    key = {"name": f"{cluster.name}-seal", "key": name, **({} if asked else {"optional": True})}
    return {"name": name, "valueFrom": {"secretKeyRef": key}}


def _probes(cluster: Cluster) -> dict[str, Json]:
    alive, ready = _probe(cluster, pods.ALIVE), _probe(cluster, pods.READY)
    lives = {} if pods.moves_seal(cluster) else {"livenessProbe": {**alive, "periodSeconds": 10, "failureThreshold": 6}}
    return {
        "startupProbe": {**alive, "periodSeconds": 10, "failureThreshold": _MINUTES * 6},
        **lives,
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 2},
    }


def _probe(cluster: Cluster, path: str) -> dict[str, Json]:
    return {"httpGet": {"path": path, "port": "api", "scheme": cluster.scheme.upper()}, "timeoutSeconds": 3}


def _network_policy(cluster: Cluster) -> Json:
    return {
        "podSelector": {"matchLabels": pods.labels(cluster)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress(cluster),
        "egress": egress(cluster),
    }


def ingress(cluster: Cluster) -> list[Json]:
    """The API for every pod, the other port for the nodes alone."""
    nodes = {"podSelector": {"matchLabels": pods.labels(cluster)}}
    return [
        {"from": [{"namespaceSelector": {}}], "ports": [_tcp(pods.PORT)]},
        {"from": [nodes], "ports": [_tcp(pods.CLUSTER_PORT)]},
    ]


def egress(cluster: Cluster) -> list[Json]:
    """The other nodes, names, the API of Kubernetes, and what the seals and audit devices speak to."""
    nodes = {"podSelector": {"matchLabels": pods.labels(cluster)}}
    names = [{"protocol": protocol, "port": _DNS} for protocol in ("UDP", "TCP")]
    outside = sorted({_HTTPS, _KUBERNETES_API, *_seal_ports(cluster), *_audit_ports(cluster)})
    cloud = any(SEALS[seal.kind].cloud for seal in seals(cluster))
    metadata = {"to": [{"ipBlock": {"cidr": _METADATA}}], "ports": [_tcp(80), _tcp(988)]}  # 988: where GKE answers
    return [
        {"to": [nodes], "ports": [_tcp(pods.PORT), _tcp(pods.CLUSTER_PORT)]},
        {"ports": names},
        {"ports": [_tcp(port) for port in outside]},
        *([metadata] if cloud else []),
    ]


def _seal_ports(cluster: Cluster) -> set[int]:
    """The ports of the addresses in the seals' settings."""
    values = [str(value) for seal in seals(cluster) for value in seal.settings.values()]
    urls = [urlsplit(value) for value in values if value.startswith(("http://", "https://"))]
    bare = [_HOST_PORT.fullmatch(value) for value in values]
    return {one.port or (80 if one.scheme == "http" else _HTTPS) for one in urls} | {int(one[1]) for one in bare if one}


def _audit_ports(cluster: Cluster) -> set[int]:
    ports = (device.options.get("address", "").rpartition(":")[2] for device in cluster.audit)
    return {int(port) for port in ports if port.isdigit()}


def _tcp(port: int) -> dict[str, Json]:
    return {"protocol": "TCP", "port": port}
