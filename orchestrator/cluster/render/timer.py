"""What takes the declared snapshots: a unit and its timer, on whichever machine holds this project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.render.systemd import CAGE, ini

if TYPE_CHECKING:
    from orchestrator.declared import Cluster, Snapshots

_PROJECT = "/opt/strongroom"
_METRICS = "/var/lib/prometheus/node-exporter"  # where the node exporter reads what others count
_LATE = 300  # seconds by which two clusters miss each other


def mark(cluster: Cluster) -> str:
    """The file whose age the node exporter tells: it is touched after each snapshot."""
    return f"strongroom-{cluster.name}.prom"


def snapshot_units(cluster: Cluster, snapshots: Snapshots) -> dict[str, str]:
    name = f"strongroom-snapshot-{cluster.name}"
    return {f"{name}.service": _service(cluster), f"{name}.timer": _timer(cluster, snapshots)}


def _service(cluster: Cluster) -> str:
    service = [
        ("Type", "oneshot"),
        ("User", "strongroom"),
        ("WorkingDirectory", _PROJECT),
        ("ExecStart", f"{_PROJECT}/.venv/bin/invoke cluster.snapshot -c {cluster.name}"),
        ("ExecStartPost", f"/usr/bin/touch {_METRICS}/{mark(cluster)}"),
        ("TimeoutStartSec", "1h"),
        ("Restart", "on-failure"),
        ("RestartSec", "10min"),
        ("ReadWritePaths", f"{_PROJECT} {_METRICS}"),
        *CAGE,
    ]
    return ini({"Unit": _unit(f"A snapshot of cluster {cluster.name}"), "Service": service})


def _timer(cluster: Cluster, snapshots: Snapshots) -> str:
    timer = [
        ("OnBootSec", "5min"),
        ("OnUnitActiveSec", f"{snapshots.every}s"),
        ("RandomizedDelaySec", f"{_LATE}s"),
    ]
    about = [("Description", f"Snapshots of cluster {cluster.name}")]
    return ini({"Unit": about, "Timer": timer, "Install": [("WantedBy", "timers.target")]})


def _unit(description: str) -> list[tuple[str, str]]:
    return [("Description", description), ("Wants", "network-online.target"), ("After", "network-online.target")]
