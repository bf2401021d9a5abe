"""What one machine needs to run one node: its folders, and the variables that its seal reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.cluster.render.product import product
from orchestrator.cluster.seals import SEALS
from orchestrator.declared import Tls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.declared import AuditDevice, Cluster, Seal

SEAL_ENV = "seal.env"
BY_FILE = "file://"
_BY_VARIABLE = "env://"


def seals(cluster: Cluster) -> tuple[Seal, ...]:
    return tuple(one for one in (cluster.seal, cluster.migrate_from) if one)


def seal_variables(cluster: Cluster) -> Mapping[str, bool]:
    """The variables that carry secrets to the seals, and whether the cluster's file asks for each."""
    found: dict[str, bool] = {}
    for seal in seals(cluster):
        for setting, secret in SEALS[seal.kind].secrets.items():
            variable = secret.of(cluster.server)
            found[variable] = found.get(variable, False) or setting in seal.settings
        named = (str(value) for value in seal.settings.values())
        found |= {value.removeprefix(_BY_VARIABLE): True for value in named if value.startswith(_BY_VARIABLE)}
    return found


def at(cluster: Cluster, path: str) -> str:
    """A declared path as the node's machine has it."""
    return str(PurePosixPath(product(cluster).etc) / path)


def audit_files(cluster: Cluster) -> tuple[str, ...]:
    """The files that audit devices write; not what is no path, such as `stdout`."""
    paths = (device.options.get("file_path", "") for device in cluster.audit if device.type == "file")
    return tuple(path for path in paths if "/" in path or path.endswith(".log"))


def written_folders(cluster: Cluster) -> tuple[str, ...]:
    """Every folder that the node writes to."""
    audits = {str(PurePosixPath(at(cluster, path)).parent) for path in audit_files(cluster)}
    return tuple(sorted({at(cluster, cluster.raft.path), *audits}))


def seal_files(cluster: Cluster) -> tuple[str, ...]:
    """The files that the seals read."""
    found = {file for seal in seals(cluster) for name in seal.settings if (file := seal_file(seal, name))}
    return tuple(sorted(at(cluster, path) for path in found))


def seal_file(seal: Seal, name: str) -> str:
    """The path that a setting names; empty where it names none."""
    value = str(seal.settings[name])
    if name not in SEALS[seal.kind].files or value.startswith(_BY_VARIABLE):
        return ""
    return value.removeprefix(BY_FILE)


def read_paths(cluster: Cluster) -> tuple[str, ...]:
    """What the node reads beside its configuration: the folders of its certificate and key, the files of its seals."""
    tls = cluster.listener.tls
    files = (tls.certificate, tls.key, tls.ca) if tls else ()
    folders = {str(PurePosixPath(at(cluster, path)).parent) for path in files if path}
    plugins = cluster.settings.get("plugin_directory")
    return tuple(sorted({*folders, *seal_files(cluster), *([at(cluster, str(plugins))] if plugins else [])}))


def seal_env_example(cluster: Cluster) -> str:
    """The names to fill in, in a file for root alone: `systemd` reads it before it drops its rights."""
    place = at(cluster, SEAL_ENV)
    lines = [f"# Copy to {place}, owner root, mode 0600, and write each value behind its name."]
    for name, asked in seal_variables(cluster).items():
        lines.append(f"{name}=" if asked else f"# {name}=  # only where the machine has no identity of its own")
    return "\n".join(lines) + "\n"


def settled(cluster: Cluster) -> Cluster:
    """The cluster with what its file leaves to us: where a node is, where its certificate and its logs lie."""
    nodes = tuple(replace(one, host=one.host or one.name) for one in cluster.nodes)
    audit = tuple(_audit(cluster, one) for one in cluster.audit)
    return replace(cluster, nodes=nodes, audit=audit, listener=replace(cluster.listener, tls=_tls(cluster)))


def _tls(cluster: Cluster) -> Tls | None:
    tls = cluster.listener.tls
    if tls is None:
        return None
    usual = Tls("tls/node.crt", "tls/node.key", "tls/ca.crt")
    return Tls(tls.certificate or usual.certificate, tls.key or usual.key, tls.ca or usual.ca, tls.min_version)


def _audit(cluster: Cluster, device: AuditDevice) -> AuditDevice:
    if device.type != "file":
        return device
    usual = {"file_path": f"/var/log/{product(cluster).account}/{device.name}.log", "mode": "0600"}
    return replace(device, options={**usual, **device.options})
