"""All that is rendered of a cluster: by path, the text of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.render import compose, helm, kubernetes, prometheus, rules, systemd, timer
from orchestrator.cluster.render.generated import marked
from orchestrator.cluster.render.machine import SEAL_ENV, seal_env_example, seal_variables, settled
from orchestrator.cluster.render.pods import in_pods
from orchestrator.cluster.render.server import server_hcl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Cluster


def rendered(cluster: Cluster) -> dict[str, str]:
    """Every file, with the mark of who made it; the same for the same cluster."""
    bodies = dict(_bodies(settled(cluster)))
    return {path: marked(cluster.name, bodies[path]) for path in sorted(bodies)}


def _bodies(cluster: Cluster) -> Iterator[tuple[str, str]]:
    for node in cluster.nodes:
        here = f"nodes/{node.name}"
        yield f"{here}/server.hcl", server_hcl(cluster, node)
        yield f"{here}/{cluster.server}.service", systemd.unit(cluster, node)
        yield f"{here}/docker-compose.yml", compose.compose(cluster, node)
    if cluster.snapshots:
        for name, text in timer.snapshot_units(cluster, cluster.snapshots).items():
            yield f"snapshots/{name}", text
    if seal_variables(cluster):
        yield f"{SEAL_ENV}.example", seal_env_example(cluster)
    pods = in_pods(cluster)
    yield "helm/values.yaml", helm.values(pods)
    for name, text in kubernetes.manifests(pods).items():
        yield f"kubernetes/{name}", text
    yield "prometheus/scrape.yaml", prometheus.scrape(cluster)
    yield "prometheus/blackbox.yaml", prometheus.blackbox(cluster)
    yield "prometheus/rules.yaml", rules.rules(cluster)
