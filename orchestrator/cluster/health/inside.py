"""What a session tells of a cluster: its members, what autopilot thinks of them, its audit devices."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cluster import raft
from orchestrator.cluster.health.asking import Unknown
from orchestrator.cluster.health.facts import Autopilot, Device, Inside
from orchestrator.live import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.documents import Json
    from orchestrator.live.session import Session

SECONDS = 2.0
_PEERS = "sys/storage/raft/configuration"
_AUTOPILOT = "sys/storage/raft/autopilot/state"
_DEVICES = "sys/audit"
_RECORDED = "auth/token/lookup-self"
_LOCAL_LOGS = "/dev/log", "/var/run/syslog", "/var/run/log"


def look(session: Session, here: Path | None) -> Inside:
    """What the leader says to a login of the cluster; `here` is its folder, if it is of this machine."""

    def ask(path: str) -> probe.Said:
        return probe.ask(session.address, path, ca=session.place.verify, token=session.token, seconds=SECONDS)

    peers, autopilot, devices = ask(_PEERS), ask(_AUTOPILOT), ask(_DEVICES)
    return Inside(
        session.who,
        raft.members(peers.data) if peers.ok else _unknown(peers),
        _autopilot(autopilot.data) if autopilot.ok else _unknown(autopilot),
        _devices(devices.data, here, lambda: ask(_RECORDED)) if devices.ok else _unknown(devices),
    )


def _unknown(said: probe.Said) -> Unknown:
    return Unknown(said.words)


def _autopilot(said: Mapping[str, Json]) -> Autopilot:
    servers = said.get("servers") or {}
    return Autopilot(
        bool(said.get("healthy")),
        int(said.get("failure_tolerance") or 0),
        {name: str(one.get("last_contact", "")) for name, one in servers.items()},
        {name: bool(one.get("healthy")) for name, one in servers.items()},
    )


def _devices(said: Mapping[str, Json], here: Path | None, record: Callable[[], object]) -> tuple[Device, ...]:
    """Each live device of the leader; a file of this machine must grow by a request."""
    live = [(str(path).strip("/"), one) for path, one in said.items() if isinstance(one, dict) and "type" in one]
    before = {name: _size(here, one) for name, one in live}
    record()
    return tuple(_device(name, one, here, before[name]) for name, one in live)


def _device(name: str, said: Mapping[str, Json], here: Path | None, before: int | None) -> Device:
    options = {key: str(value) for key, value in (said.get("options") or {}).items()}
    works, words = _WORKS.get(str(said["type"]), _elsewhere)(said, here, before)
    return Device(name, str(said["type"]), works, words, options)


def _size(here: Path | None, said: Mapping[str, Json]) -> int | None:
    path = file_of(here, said.get("options") or {})
    try:
        return path.stat().st_size if path else None
    except OSError:
        return None


def file_of(here: Path | None, options: Mapping[str, Json]) -> Path | None:
    """The file of a device, if it is one of this machine."""
    name = str(options.get("file_path") or options.get("path") or "")
    return here / name if here and name and not name.startswith("std") else None


def _file(said: Mapping[str, Json], here: Path | None, before: int | None) -> tuple[bool | None, str]:
    path = file_of(here, said.get("options") or {})
    if path is None:
        return _elsewhere(said, here, before)
    after = _size(here, said)
    if after is None:
        return False, f"{path.name} cannot be looked at"
    if before is None or after > before:
        return True, "grows with a request"
    return False, f"{path.name} does not grow with a request"


def _socket(said: Mapping[str, Json], here: Path | None, before: int | None) -> tuple[bool | None, str]:
    options = said.get("options") or {}
    host, _, port = str(options.get("address", "")).rpartition(":")
    if here is None or options.get("socket_type", "tcp") != "tcp" or not port.isdigit():
        return _elsewhere(said, here, before)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), SECONDS):
            return True, "its collector takes connections"
    except OSError:
        return False, f"its collector at {host}:{port} does not take connections"


def _syslog(said: Mapping[str, Json], here: Path | None, before: int | None) -> tuple[bool | None, str]:
    if here is None:
        return _elsewhere(said, here, before)
    there = any(map(Path.exists, map(Path, _LOCAL_LOGS)))
    return (None, "a log daemon is there") if there else (False, "there is no log daemon on this machine")


def _elsewhere(_: Mapping[str, Json], __: Path | None, ___: int | None) -> tuple[bool | None, str]:
    return None, "only its own machine could tell whether it takes what it is given"


_WORKS: Mapping[str, Callable[[Mapping[str, Json], Path | None, int | None], tuple[bool | None, str]]] = {
    "file": _file,
    "socket": _socket,
    "syslog": _syslog,
}
