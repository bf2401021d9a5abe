"""What is worth waking somebody for: alert rules over the jobs of `prometheus.py`."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.cluster.render.machine import written_folders
from orchestrator.cluster.render.prometheus import job
from orchestrator.cluster.render.timer import mark
from orchestrator.config.source import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Cluster
    from orchestrator.documents import Json

_ACTIVE, _SEALED, _SILENT = 200, 503, 0
_SLOW_CONTACT = 500  # milliseconds; a follower calls an election after a second without its leader, at multiplier 1
_CERTIFICATE_DAYS = 14
_DISK_LEFT = 0.15
_FEW = 1000  # leases or tokens: growth among fewer says nothing
_CHANGES = 6  # a change of the leader is seen at two nodes


class Alert(NamedTuple):
    name: str
    expression: str
    after: str
    severity: str
    summary: str
    action: str


def rules(cluster: Cluster) -> str:
    """The groups of rules, as a rule file."""
    groups = {
        job(cluster, "health"): _health(cluster),
        job(cluster, "server"): _server(cluster),
        job(cluster, "around"): _around(cluster),
    }
    return written(
        {"groups": [{"name": name, "rules": [_rule(cluster, one) for one in of]} for name, of in groups.items()]}
    )


def _rule(cluster: Cluster, alert: Alert) -> Json:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.after,
        "labels": {"severity": alert.severity, "cluster": cluster.name},
        "annotations": {"summary": f"{cluster.name}: {alert.summary}", "action": alert.action},
    }


def _health(cluster: Cluster) -> Iterator[Alert]:
    """By the nodes' own word, without a token: a sealed node has no metrics."""
    status = f'probe_http_status_code{{job="{job(cluster, "health")}"}}'
    look = f"Look at `invoke cluster.status -c {cluster.name}`"
    leads = f"({status} == bool {_ACTIVE})"
    yield Alert(
        "ClusterNodeSilent",
        f"{status} == {_SILENT}",
        "2m",
        "warning",
        "{{ $labels.node }} does not answer",
        f"{look}; see on that machine whether the server runs and its KMS answers.",
    )
    yield Alert(
        "ClusterNodeSealed",
        f"{status} == {_SEALED}",
        "1m",
        "critical",
        "{{ $labels.node }} is sealed",
        f"{look}; a node that a KMS unseals opens itself once it is started anew, else unseal it.",
    )
    yield Alert(
        "ClusterNodeFails",
        f'{status} > {_SILENT} and probe_success{{job="{job(cluster, "health")}"}} == 0',
        "5m",
        "warning",
        "{{ $labels.node }} answers {{ $value }} when asked for its health",
        f"{look}; a node says 500 while its seal is being migrated, and when its storage fails.",
    )
    yield Alert(
        "ClusterWithoutLeader",
        f"sum({leads}) == 0",
        "1m",
        "critical",
        "no node leads, so that nothing is answered",
        f"{look}; a majority of the nodes must run, and the KMS must answer.",
    )
    yield Alert(
        "ClusterWithTwoLeaders",
        f"sum({leads}) > 1",
        "1m",
        "critical",
        "{{ $value }} nodes say that they lead",
        f"{look}; one of them has lost the others: stop the one that the peers do not list.",
    )
    yield Alert(
        "ClusterLeaderFlaps",
        f"sum(changes({leads}[1h:30s])) >= {_CHANGES}",
        "0m",
        "warning",
        "the leader changed several times within an hour",
        "Look at the network between the nodes, at their disks, and at the processors' load.",
    )
    if cluster.listener.tls:
        ends = f'probe_ssl_earliest_cert_expiry{{job="{job(cluster, "health")}"}}'
        yield Alert(
            "ClusterCertificateEnds",
            f"{ends} - time() < {_CERTIFICATE_DAYS} * 86400",
            "1h",
            "warning",
            "the certificate of {{ $labels.node }} ends in {{ $value | humanizeDuration }}",
            "Write a new certificate and key to the node, and send the server SIGHUP.",
        )
    yield Alert(
        "ClusterHealthUnseen",
        f"absent({status})",
        "5m",
        "warning",
        "nobody asks the nodes for their health, so that the alerts about it are blind",
        f"See that the blackbox exporter runs and has the module {job(cluster, 'health')}.",
    )


def _server(cluster: Cluster) -> Iterator[Alert]:
    """By the metrics of whichever node leads: a former leader keeps what it counted for a while."""

    def of(name: str, more: str = "") -> str:
        return f'{name}{{job="{job(cluster)}"{more}}}'

    def led(name: str, more: str = "") -> str:
        return f"({of(name, more)} and on (instance) {of('vault_core_active')} == 1)"

    failures = (f"increase({of(f'vault_audit_log_{what}_failure')}[5m])" for what in ("request", "response"))
    yield Alert(
        "ClusterAuditFails",
        " or ".join(f"max({one}) > 0" for one in failures),
        "0m",
        "critical",
        "no audit device takes what is written, so that requests fail with 500",
        "See that the disk of the audit files has room and that the receivers of sockets listen.",
    )
    contact = led("vault_raft_leader_lastContact", ', quantile="0.99"')
    yield Alert(
        "ClusterRaftSlow",
        f"max({contact}) > {_SLOW_CONTACT}",
        "5m",
        "warning",
        "the leader has not reached a majority for {{ $value }} ms",
        "Look at the network between the nodes and at the followers' disks.",
    )
    yield Alert(
        "ClusterUnhealthy",
        f"min({led('vault_autopilot_healthy')}) == 0",
        "5m",
        "warning",
        "autopilot calls a node unhealthy",
        f"Look at `invoke cluster.status -c {cluster.name}`: which node lags, or is not heard.",
    )
    if len(cluster.nodes) > 1:
        yield Alert(
            "ClusterMayLoseNoNode",
            f"min({led('vault_autopilot_failure_tolerance')}) < 1",
            "5m",
            "critical",
            "the loss of one more node stops it",
            f"Bring the missing node back: `invoke cluster.status -c {cluster.name}` names it.",
        )
    for what, metric in (("leases", "vault_expire_num_leases"), ("tokens", "vault_token_count")):
        now = f"max(sum by (instance) ({led(metric)}))"
        before = f"max(sum by (instance) ({of(metric)} offset 1d))"
        yield Alert(
            f"Cluster{what.capitalize()}Grow",
            f"{now} > {_FEW} and {now} > 1.5 * {before}",
            "1h",
            "warning",
            f"{{{{ $value }}}} {what}, half as many again as a day ago",
            f"Find who makes {what} and does not end them; shorten the ttl of that role.",
        )
    yield Alert(
        "ClusterLeasesIrrevocable",
        f"max({led('vault_expire_num_irrevocable_leases')}) > 0",
        "15m",
        "warning",
        "{{ $value }} leases cannot be revoked, so that what they gave out lives on",
        "The server's log says why; see that the databases behind the leases answer.",
    )
    yield Alert(
        "ClusterMetricsUnseen",
        f"absent({of('vault_core_active')})",
        "5m",
        "warning",
        "there are no metrics of it, so that the alerts about them are blind",
        "See that its token for sys/metrics lives, or that its listener gives metrics without one.",
    )


def _around(cluster: Cluster) -> Iterator[Alert]:
    machines = job(cluster, "machines")
    mounts = f'{{job="{machines}", mountpoint=~"{"|".join(_mountpoints(cluster))}"}}'
    yield Alert(
        "ClusterDiskFills",
        f"node_filesystem_avail_bytes{mounts} / node_filesystem_size_bytes{mounts} < {_DISK_LEFT}",
        "10m",
        "critical",
        "{{ $labels.node }} has {{ $value | humanizePercentage }} of {{ $labels.mountpoint }} left",
        "A full disk ends writes and audit, and with them every request: make room, or a larger disk.",
    )
    yield Alert(
        "ClusterMachinesUnseen",
        f'absent(node_filesystem_avail_bytes{{job="{machines}"}})',
        "5m",
        "warning",
        "nobody looks at its machines, so that the alert about their disks is blind",
        "See that the node exporter runs on each of them.",
    )
    if cluster.snapshots:
        taken = f'node_textfile_mtime_seconds{{file=~"(.*/)?{mark(cluster)}"}}'
        yield Alert(
            "ClusterSnapshotOld",
            f"time() - max({taken}) > {2 * cluster.snapshots.every} or absent({taken})",
            "10m",
            "critical",
            "the newest snapshot is older than two of its intervals, or there is none",
            f"Take one with `invoke cluster.snapshot -c {cluster.name}`, and see why the timer did not.",
        )


def _mountpoints(cluster: Cluster) -> list[str]:
    """Wherever a disk may be mounted that holds what is written."""
    paths = [PurePosixPath(one) for one in written_folders(cluster)]
    return sorted({str(place) for path in paths for place in (path, *path.parents)})
