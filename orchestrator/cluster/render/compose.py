"""A node as a service of Docker Compose, on a machine of its own."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.cluster.render.machine import SEAL_ENV, at, seal_variables, written_folders
from orchestrator.cluster.render.product import image, product
from orchestrator.config.source import written

if TYPE_CHECKING:
    from orchestrator.declared import Cluster, Node
    from orchestrator.documents import Json


def compose(cluster: Cluster, node: Node) -> str:
    """The file; beside it lies `server.hcl`, and `tls/` and `seal.env` where they are needed."""
    return written(
        {"name": cluster.name, "services": {node.name: service(cluster, node)}, "volumes": _volumes(cluster)}
    )


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
    variables = seal_variables(cluster)
    if not variables:
        return {}
    return {"env_file": [{"path": SEAL_ENV, "required": any(variables.values())}]}


def _mounts(cluster: Cluster) -> list[Json]:
    tls = cluster.listener.tls
    given = [("./server.hcl", at(cluster, "server.hcl"))]
    folders = (
        {str(PurePosixPath(at(cluster, path)).parent) for path in (tls.certificate, tls.key, tls.ca)} if tls else ()
    )
    given += [("./tls", folder) for folder in sorted(folders)]
    kept = zip(_volumes(cluster), written_folders(cluster), strict=True)
    bound: list[Json] = [{"type": "bind", "source": source, "target": to, "read_only": True} for source, to in given]
    return [*bound, *({"type": "volume", "source": source, "target": to} for source, to in kept)]


def _volumes(cluster: Cluster) -> dict[str, Json]:
    return {PurePosixPath(folder).as_posix().strip("/").replace("/", "-"): {} for folder in written_folders(cluster)}


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
