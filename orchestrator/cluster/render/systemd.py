"""A node's systemd unit: one process that may do what a server needs, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.render.machine import SEAL_ENV, at, seal_variables, written_folders
from orchestrator.cluster.render.product import product

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Cluster, Node

Lines = list[tuple[str, str]]

_START = "300"  # a KMS that hangs keeps the listener closed; another start would not help it sooner
_STOP = "60"  # the leader hands over before it ends
CAGE: Lines = [
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("ProtectProc", "invisible"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("RemoveIPC", "yes"),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged"),
    ("SystemCallErrorNumber", "EPERM"),
    ("UMask", "0077"),
    ("LimitCORE", "0"),  # a dump would hold the barrier's key
    ("LimitNOFILE", "65536"),
]


def unit(cluster: Cluster, node: Node) -> str:
    """The whole unit."""
    return ini({"Unit": _unit(cluster, node), "Service": list(_service(cluster)), "Install": _INSTALL})


def ini(sections: Mapping[str, Lines]) -> str:
    """Sections as systemd reads them; a key may stand twice."""
    texts = ("\n".join([f"[{name}]", *(f"{key}={value}" for key, value in lines)]) for name, lines in sections.items())
    return "\n\n".join(texts) + "\n"


_INSTALL: Lines = [("WantedBy", "multi-user.target")]


def _unit(cluster: Cluster, node: Node) -> Lines:
    return [
        ("Description", f"{product(cluster).title}, node {node.name} of cluster {cluster.name}"),
        ("Wants", "network-online.target"),
        ("After", "network-online.target"),
        ("ConditionFileNotEmpty", at(cluster, "server.hcl")),
        ("StartLimitIntervalSec", "0"),  # a KMS may be away for longer than any count of starts
    ]


def _service(cluster: Cluster) -> Iterator[tuple[str, str]]:
    known = product(cluster)
    yield "Type", "notify"
    yield "User", known.account
    yield "Group", known.account
    yield "WorkingDirectory", known.etc
    yield from _environment(cluster)
    yield "ExecStart", f"/usr/bin/{known.program} server -config={at(cluster, 'server.hcl')}"
    yield "ExecReload", "/bin/kill --signal HUP $MAINPID"
    yield "KillMode", "control-group"  # plugins of a killed server would go on without it
    yield "KillSignal", "SIGTERM"
    yield "TimeoutStartSec", _START
    yield "TimeoutStopSec", _STOP
    yield "Restart", "on-failure"  # a server whose KMS refuses at its start ends with 1
    yield "RestartSec", "5"
    yield "ReadWritePaths", " ".join(written_folders(cluster))
    yield from CAGE
    yield from _memory(cluster)


def _environment(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """A minus: the machine may have an identity of its own, and then there is no such file."""
    variables = seal_variables(cluster)
    if variables:
        yield "EnvironmentFile", f"{'' if any(variables.values()) else '-'}{at(cluster, SEAL_ENV)}"


def _memory(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Out of swap: by mlock where it is on, else by the kernel's word for the whole unit."""
    if product(cluster).locks_memory and cluster.settings.get("disable_mlock") is False:
        yield "LimitMEMLOCK", "infinity"
        yield "CapabilityBoundingSet", "CAP_IPC_LOCK"
        yield "AmbientCapabilities", "CAP_IPC_LOCK"
        yield "SecureBits", "keep-caps"
    else:
        yield "LimitMEMLOCK", "0"
        yield "CapabilityBoundingSet", ""
        yield "AmbientCapabilities", ""
    yield "MemorySwapMax", "0"
