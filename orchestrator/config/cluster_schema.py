"""The schema of what a cluster's file says of its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cluster.seals import SEALS
from orchestrator.config.words import A_REFERENCE, MAP_OF_SETTINGS, SECRET, closed
from orchestrator.documents import Json
from orchestrator.shapes import DURATION_PATTERN

if TYPE_CHECKING:
    from orchestrator.cluster.seals import SealKind
    from orchestrator.documents import Json

    Schema = dict[str, Json]

TEXT: Schema = {"type": "string", "minLength": 1, "description": "a text"}
SECRET_TEXT: Schema = {**SECRET, "description": A_REFERENCE}
_PATH: Schema = {**TEXT, "description": "a path"}
_FLAG: Schema = {"type": "boolean", "description": "true or false"}
_NAME: Schema = {
    "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    "description": "a name of small letters, digits and - inside",
}
_DURATION: Schema = {
    "type": ["string", "integer"],
    "pattern": DURATION_PATTERN,
    "description": "a duration; write it like 20m, 24h or 30d",
}
_COMMAND: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {**TEXT, "description": "a word of a command"},
    "description": "a list that begins with a program",
}


def whole(minimum: int, maximum: int) -> Schema:
    return {
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
        "description": f"a whole number from {minimum} to {maximum}",
    }


def words(*names: str) -> Schema:
    return {"enum": list(names), "description": "one of " + ", ".join(names)}


def one_of(schemas: dict[str, Schema], description: str) -> Schema:
    """A map with exactly one key, which says what the value is."""
    return {**closed(schemas, description), "minProperties": 1, "maxProperties": 1}


def _seal(kind: SealKind) -> Schema:
    plain: Schema = {name: one.schema for name, one in kind.settings.items()}
    schema = closed({**plain, **dict.fromkeys(kind.secrets, SECRET_TEXT)}, MAP_OF_SETTINGS, kind.required)
    return schema if kind.required else {**schema, "type": ["object", "null"]}


_SEAL = one_of({name: _seal(kind) for name, kind in SEALS.items()}, "a map from one seal to its settings")
_NODE = {
    **closed(
        {
            "address": {
                **TEXT,
                "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?$",
                "description": "a host, or HOST:PORT",
            },
            "zone": TEXT,
        },
        MAP_OF_SETTINGS,
    ),
    "type": ["object", "null"],
}
_TLS = closed(
    {"certificate": _PATH, "key": _PATH, "ca": _PATH, "min_version": words("tls12", "tls13")}, MAP_OF_SETTINGS
)
_PLUGIN = closed(
    {
        "command": {**TEXT, "pattern": r"^[^/\s]+$", "description": "a program's name in plugin_directory"},
        "sha256sum": {**TEXT, "pattern": "^[0-9a-f]{64}$", "description": "the program's sha256 in hexadecimal"},
        "args": {"type": "array", "items": TEXT, "description": "a list of texts"},
    },
    MAP_OF_SETTINGS,
    ("command", "sha256sum"),
)
_AUDIT = {
    "type": ["object", "null"],
    "additionalProperties": {"type": ["string", "integer", "boolean"], "description": "a text"},
    "properties": {"type": words("file", "syslog", "socket")},
    "description": MAP_OF_SETTINGS,
}
NODES: Schema = {
    "run": words("local", "compose"),
    "nodes": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _NAME,
        "additionalProperties": _NODE,
        "description": "a map from a node's name to its settings",
    },
    "storage": closed(
        {"raft": closed({"path": _PATH, "performance_multiplier": whole(1, 10)}, MAP_OF_SETTINGS)},
        MAP_OF_SETTINGS,
        ("raft",),
    ),
    "seal": _SEAL,
    "migrate_from": _SEAL,
    "plugins": {
        "type": "object",
        "additionalProperties": _PLUGIN,
        "description": "a map from a seal to the program that the server has it by",
    },
    "listener": closed(
        {
            "tls": {
                "if": {"type": "boolean"},
                "then": {"const": False},
                "else": _TLS,
                "description": "a map, or false",
            },
            "bind": {**TEXT, "description": "an address to listen on, such as 0.0.0.0"},
        },
        MAP_OF_SETTINGS,
    ),
    "audit": {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": _AUDIT,
        "description": "a map from a device to its settings",
    },
    "telemetry": closed({"prometheus_retention": _DURATION, "unauthenticated_metrics": _FLAG}, MAP_OF_SETTINGS),
    "snapshots": closed(
        {
            "every": _DURATION,
            "keep": whole(1, 10000),
            "to": {
                **TEXT,
                "pattern": "^(file:///.+|file:[^/].*|s3://[^/]+(/.*)?)$",
                "description": "file:///folder or s3://bucket/prefix",
            },
            "encryption": {
                **TEXT,
                "pattern": "^(AES256|aws:kms(:.+)?)$",
                "description": "how S3 encrypts it: AES256, aws:kms or aws:kms:KEY",
            },
        },
        MAP_OF_SETTINGS,
        ("every", "keep", "to"),
    ),
    "init": closed(
        {
            "apply": {**TEXT, "description": "an environment of this cluster"},
            "role": {**TEXT, "description": "the AppRole role that the cluster's login is"},
            "shares": whole(1, 255),
            "threshold": whole(1, 255),
            "holders": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {
                    "pattern": "^[A-Za-z0-9_]([A-Za-z0-9_.@-]*[A-Za-z0-9_])?$",
                    "description": "a name of letters, digits and _ . @ - inside",
                },
                "additionalProperties": _PATH,
                "description": "a map from a holder to the file of a PGP public key",
            },
            "keys": {**_PATH, "description": "a folder"},
        },
        MAP_OF_SETTINGS,
    ),
    "control": closed(dict.fromkeys(("start", "stop", "install", "wipe", "log"), _COMMAND), MAP_OF_SETTINGS),
    "settings": closed(
        {
            "ui": _FLAG,
            "disable_standby_reads": _FLAG,
            "disable_mlock": _FLAG,
            "plugin_directory": _PATH,
            "default_lease_ttl": _DURATION,
            "max_lease_ttl": _DURATION,
            "log_level": words("trace", "debug", "info", "warn", "error"),
        },
        MAP_OF_SETTINGS,
    ),
}
