"""What Prometheus asks of a cluster: each node's metrics, its health as the blackbox exporter sees it, its machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.source import written

if TYPE_CHECKING:
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json

_FOLDER = "/etc/prometheus"
_BLACKBOX = "127.0.0.1:9115"
_MACHINE = 9100
HEALTH_CODES = [200, 429, 472, 473, 501, 503]  # every state has its own; the rules tell them apart


def job(cluster: Cluster, what: str = "") -> str:
    """The name of a job: the cluster's metrics, or `health` or `machines` of it."""
    return f"{cluster.name}-{what}" if what else cluster.name


def scrape(cluster: Cluster) -> str:
    """`scrape_configs`, as a file of its own or a part of one."""
    return written({"scrape_configs": [_metrics(cluster), _health(cluster), _machines(cluster)]})


def blackbox(cluster: Cluster) -> str:
    """The module by which the blackbox exporter asks for health."""
    asked = {
        "valid_status_codes": HEALTH_CODES,
        "follow_redirects": False,
        **({"fail_if_not_ssl": True, "tls_config": _tls(cluster)} if cluster.listener.tls else {}),
    }
    return written({"modules": {job(cluster, "health"): {"prober": "http", "timeout": "5s", "http": asked}}})


def _tls(cluster: Cluster) -> dict[str, Json]:
    return {"ca_file": f"{_FOLDER}/{cluster.name}-ca.crt"}


def _metrics(cluster: Cluster) -> Json:
    """A standby hands a request with a token to the leader, so that then every node answers with the leader's."""
    bare = cluster.telemetry.get("unauthenticated_metrics")
    token = {"authorization": {"credentials_file": f"{_FOLDER}/{cluster.name}.token"}}
    return {
        "job_name": job(cluster),
        "metrics_path": "/v1/sys/metrics",
        "params": {"format": ["prometheus"]},
        "scheme": cluster.scheme,
        **({"tls_config": _tls(cluster)} if cluster.listener.tls else {}),
        **({} if bare else token),
        "static_configs": [_target(cluster, one, one.host_port) for one in cluster.nodes],
    }


def _health(cluster: Cluster) -> Json:
    return {
        "job_name": job(cluster, "health"),
        "metrics_path": "/probe",
        "params": {"module": [job(cluster, "health")]},
        "static_configs": [_target(cluster, one, f"{cluster.url(one)}/v1/sys/health") for one in cluster.nodes],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["node"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": _BLACKBOX},
        ],
    }


def _machines(cluster: Cluster) -> Json:
    targets = [_target(cluster, one, one.host_port.rpartition(":")[0] + f":{_MACHINE}") for one in cluster.nodes]
    return {"job_name": job(cluster, "machines"), "static_configs": targets}


def _target(cluster: Cluster, node: Node, address: str) -> Json:
    zone = {"zone": node.zone} if node.zone else {}
    return {"targets": [address], "labels": {"cluster": cluster.name, "node": node.name, **zone}}
