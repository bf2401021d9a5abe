"""A node as a service of Docker Compose, on a machine of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.render.machine import SEAL_ENV, at, read_paths, seal_variables, written_folders
from orchestrator.cluster.render.product import image, product
from orchestrator.config.source import written

if TYPE_CHECKING:
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json


def compose(cluster: Cluster, node: Node) -> str:
    """The file; the machine is laid out as it is for systemd, and `server.hcl` lies beside this file."""
    return written({"version": "3.9", "services": {node.name: service(cluster, node)}})


def service(cluster: Cluster, node: Node) -> dict[str, Json]:
    """Peers find each other at the declared addresses, so it stands in the machine's own network."""
    known = product(cluster)
    return {
        "image": image(cluster),
        "hostname": node.name,
        "entrypoint": [known.program],
        "command": ["server", f"-config={at(cluster, 'server.hcl')}"],
        "working_dir": known.etc,
        "network_mode": "host",
        "user": f"{known.uid}:{known.gid}",
        "read_only": True,
        "cap_drop": ["ALL"],
        **({"cap_add": ["IPC_LOCK"]} if _locks(cluster) else {}),
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp:mode=1777,noexec,nosuid,nodev"],  # noqa: S108 - the container's own
        "ulimits": {"core": 0, "memlock": -1 if _locks(cluster) else 0, "nofile": 65536},
        "environment": {"HOME": "/tmp"},  # noqa: S108 - the same
        **_env_file(cluster),
        "volumes": [*_mounts(cluster)],
        "healthcheck": _healthcheck(cluster, node),
        "restart": "on-failure",
        "stop_signal": "SIGTERM",
        "stop_grace_period": "60s",
        "logging": {"driver": "local", "options": {"max-size": "50m", "max-file": "5"}},
    }


def _locks(cluster: Cluster) -> bool:
    return product(cluster).locks_memory and cluster.settings.get("disable_mlock") is False


def _env_file(cluster: Cluster) -> dict[str, Json]:
    """Only where the file asks for a secret: Compose of some age cannot say that a file may be missing."""
    return {"env_file": [at(cluster, SEAL_ENV)]} if any(seal_variables(cluster).values()) else {}


def _mounts(cluster: Cluster) -> list[Json]:
    """The machine's folders by their own names."""
    read = [("./server.hcl", at(cluster, "server.hcl")), *((one, one) for one in read_paths(cluster))]
    return [
        *(_bind(source, to, read_only=True) for source, to in read),
        *(_bind(folder, folder, read_only=False) for folder in written_folders(cluster)),
    ]


def _bind(source: str, to: str, *, read_only: bool) -> Json:
    return {"type": "bind", "source": source, "target": to, "read_only": read_only}


def _healthcheck(cluster: Cluster, node: Node) -> dict[str, Json]:
    """Sealed is unhealthy (`status` ends with 2); standing by is well."""
    known = product(cluster)
    address = f"-address={cluster.url(node)}"
    ca = (
        [f"-ca-cert={at(cluster, cluster.listener.tls.ca)}"] if cluster.listener.tls and cluster.listener.tls.ca else []
    )
    return {
        "test": ["CMD", known.program, "status", address, *ca],
        "interval": "10s",
        "timeout": "5s",
        "retries": 3,
        "start_period": "60s",
    }
