"""What a cluster's file says, once it is known to be right, as a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.declared import (
    AuditDevice,
    Beginning,
    Cluster,
    Listener,
    Login,
    Node,
    Plugin,
    Raft,
    Seal,
    Snapshots,
    TerraformSettings,
    Tls,
)
from orchestrator.shapes import seconds

if TYPE_CHECKING:
    from orchestrator.documents import Json

Plain = dict[str, "Json"]

PORT = 8200
_EMBEDDED_STATE: Plain = {"provider": "auto", "backend": {"pg": {}}}
_RUN_BY_US_STATE: Plain = {"provider": "auto", "backend": {}}
_OWN_STATE: Plain = {"provider": "official", "backend": {}}
_LOGIN_DEFAULTS = {"kubernetes": {"jwt": "file:/var/run/secrets/kubernetes.io/serviceaccount/token"}}
_DATA = {"openbao": "/opt/openbao/data", "vault": "/opt/vault/data"}
_SERVER: Plain = {"ui": True}
_OPENBAO: Plain = {"disable_standby_reads": True}


def built(plain: Plain) -> Cluster:
    server, listener = plain["server"], _listener(plain.get("listener", {}))
    return Cluster(
        name=plain["cluster"],
        server=server["product"],
        version=server["version"],
        edition=server.get("edition", "community"),
        embedded=plain.get("embedded", False),
        address=plain.get("address", "").rstrip("/"),
        ca_cert=plain.get("ca_cert", ""),
        login=_login(plain["login"]) if "login" in plain else None,
        terraform=_terraform(plain),
        run=plain.get("run", ""),
        nodes=tuple(_node(name, said or {}) for name, said in plain.get("nodes", {}).items()),
        raft=_raft(plain),
        seal=_seal(plain.get("seal", {"shamir": {}})),
        migrate_from=_seal(plain["migrate_from"]) if "migrate_from" in plain else None,
        plugins={name: _plugin(said) for name, said in plain.get("plugins", {}).items()},
        listener=listener,
        audit=tuple(_audit(name, said or {}) for name, said in plain.get("audit", {}).items()),
        telemetry=plain.get("telemetry", {}),
        snapshots=_snapshots(plain["snapshots"]) if "snapshots" in plain else None,
        init=_beginning(plain.get("init", {})),
        control={verb: tuple(command) for verb, command in plain.get("control", {}).items()},
        settings=_settings(plain),
    )


def _terraform(plain: Plain) -> TerraformSettings:
    by_us = _EMBEDDED_STATE if plain.get("embedded") else _RUN_BY_US_STATE if "run" in plain else _OWN_STATE
    said = {**by_us, **plain.get("terraform", {})}
    return TerraformSettings(said["provider"], {kind: settings or {} for kind, settings in said["backend"].items()})


def _login(plain: Plain) -> Login:
    (method, said), *_ = plain.items()
    given = {key: value for key, value in said.items() if key != "mount"}
    return Login(method, said.get("mount", method), {**_LOGIN_DEFAULTS.get(method, {}), **given})


def _node(name: str, said: Plain) -> Node:
    host, port = split(said.get("address", ""))
    return Node(name, host, port, port + 1, said.get("zone", ""))


def split(address: str) -> tuple[str, int]:
    """Host and port of an address.

    >>> split("10.0.1.11"), split("[::1]:8300")
    (('10.0.1.11', 8200), ('::1', 8300))
    """
    host, colon, port = address.rpartition(":")
    if not colon or "]" in port:
        host, port = address, str(PORT)
    return host.strip("[]"), int(port)


def _raft(plain: Plain) -> Raft:
    said = plain.get("storage", {}).get("raft", {})
    usual = _DATA[plain["server"]["product"]] if "nodes" in plain else ""
    return Raft(said.get("path", usual), said.get("performance_multiplier", 1))


def _settings(plain: Plain) -> Plain:
    if "nodes" not in plain:
        return {}
    return {**_SERVER, **(_OPENBAO if plain["server"]["product"] == "openbao" else {}), **plain.get("settings", {})}


def _seal(plain: Plain) -> Seal:
    (kind, settings), *_ = plain.items()
    return Seal(kind, settings or {})


def _plugin(said: Plain) -> Plugin:
    return Plugin(said["command"], said["sha256sum"], tuple(said.get("args", ())))


def _listener(said: Plain) -> Listener:
    tls = said.get("tls")
    return Listener(Tls(**tls) if tls else None, said.get("bind", ""))


def _audit(name: str, said: Plain) -> AuditDevice:
    options = {key: _word(value) for key, value in said.items() if key not in {"type", "path"}}
    if "path" in said:  # what people call it; the servers say file_path
        options["file_path"] = said["path"]
    return AuditDevice(name, said.get("type", name), options)


def _word(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _snapshots(said: Plain) -> Snapshots:
    return Snapshots(seconds(said["every"]), said["keep"], said["to"], said.get("encryption", "AES256"))


def _beginning(said: Plain) -> Beginning:
    shares = said.get("shares", len(said.get("holders", {})) or 3)
    threshold = said.get("threshold", 1 if shares == 1 else shares // 2 + 1)
    return Beginning(
        said.get("apply", ""), said.get("role", ""), shares, threshold, said.get("holders", {}), said.get("keys", "")
    )
