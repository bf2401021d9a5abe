"""RabbitMQ: users made by the server, with permissions by virtual host, and dropped with their lease."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import NOTHING, SECRETS_MOUNT, leases
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, TEXT, Shape

if TYPE_CHECKING:
    from orchestrator.documents import Json

_ROLE = "{backend}/roles/{name}"
_CONNECTION = "{path}/config/connection"
_RIGHTS = ("configure", "write", "read")
_TOPIC_RIGHTS = ("write", "read")
_NO_ADMINISTRATOR = Limit(
    "administrator-tag",
    lambda value: "administrator" not in str(value).split(","),
    "an administrator may change every user and every permission, and outlive the lease",
)


def _only(rights: tuple[str, ...], said: Json) -> dict[str, str]:
    return {name: said.get(name) or "" for name in rights}


def _hosts(value: Json) -> dict[str, dict[str, str]]:
    """Permissions by virtual host, from the API's map or Terraform's blocks; what is not said is not allowed.

    >>> _hosts([{"host": "/", "read": ".*"}])
    {'/': {'configure': '', 'write': '', 'read': '.*'}}
    """
    pairs = value.items() if isinstance(value, dict) else [(item["host"], item) for item in value or []]
    return {host: _only(_RIGHTS, said) for host, said in sorted(pairs)}


def _host_blocks(value: Json) -> list[dict[str, Json]]:
    return [{"host": host, **said} for host, said in _hosts(value).items()]


def _topics(value: Json) -> dict[str, dict[str, dict[str, str]]]:
    """Permissions by virtual host and topic exchange.

    >>> _topics([{"host": "/", "vhost": [{"topic": "amq.topic", "read": "a[.].*", "write": ""}]}])
    {'/': {'amq.topic': {'write': '', 'read': 'a[.].*'}}}
    """
    if not isinstance(value, dict):
        value = {item["host"]: {one["topic"]: one for one in item["vhost"]} for item in value or []}
    return {
        host: {topic: _only(_TOPIC_RIGHTS, said) for topic, said in sorted(topics.items())}
        for host, topics in sorted(value.items())
    }


def _topic_blocks(value: Json) -> list[dict[str, Json]]:
    return [
        {"host": host, "vhost": [{"topic": topic, **said} for topic, said in topics.items()]}
        for host, topics in _topics(value).items()
    ]


def _permissions(rights: tuple[str, ...]) -> dict[str, Json]:
    """What YAML may say of one virtual host or topic: patterns of names."""
    patterns = {name: {"type": "string"} for name in rights}
    return {"type": "object", "properties": patterns, "additionalProperties": False}


_HOSTS = Shape(
    None,
    {"type": "object", "additionalProperties": _permissions(_RIGHTS)},
    "a map from virtual host to patterns: configure, write, read",
    _hosts,
    _host_blocks,
    {},
    lambda value: json.dumps(_hosts(value)),
    {"host": ("string", True), **dict.fromkeys(_RIGHTS, ("string", True))},
)
_TOPICS = Shape(
    None,
    {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": _permissions(_TOPIC_RIGHTS)},
    },
    "a map from virtual host to topic exchanges, and from these to patterns: write, read",
    _topics,
    _topic_blocks,
    {},
    lambda value: json.dumps(_topics(value)),
    {
        "host": ("string", True),
        "vhost": {"topic": ("string", True), **dict.fromkeys(_TOPIC_RIGHTS, ("string", True))},
    },
)

_CONNECTING = {
    "connection_uri": Field(TEXT, required=True, readable=False),
    "username": Field(TEXT, required=True, sensitive=True, readable=False),
    "password": Field(TEXT, "password_wo", "password", secret=True, sensitive=True, resent=True),
    "verify_connection": Field(FLAG, default=True, readable=False),
    "username_template": Field(TEXT, readable=False),
    "password_policy": Field(TEXT, readable=False),
}
_LEASES = {  # the accounts' own: the provider has no other setting for them
    "default_lease_ttl": "1h",
    "max_lease_ttl": "24h",
}

MOUNT = replace(
    SECRETS_MOUNT,
    type="vault_rabbitmq_secret_backend",
    mount_default="rabbitmq",
    version=1,
    fields={
        **{
            name: replace(one, default=_LEASES[name], official=0) if name in _LEASES else one
            for name, one in SECRETS_MOUNT.fields.items()
            if name != "type"
        },
        **_CONNECTING,
        "plain_password": Field(
            TEXT, "password", "plain_password", sent="password", yaml=False, readable=False, sensitive=True
        ),
        "disable_remount": Field(FLAG, yaml=False, readable=False),
    },
    writes=(
        replace(
            SECRETS_MOUNT.writes[0],
            keys=tuple(key for key in SECRETS_MOUNT.writes[0].keys if key != "type"),
            data={"type": "rabbitmq"},
            always=True,
        ),
        *SECRETS_MOUNT.writes[1:],
        Write(_CONNECTION, tuple(_CONNECTING)),
    ),
)

RABBITMQ = Kind(
    name="rabbitmq",
    family="secrets",
    canary="orchestrator.live.canaries.rabbitmq:trials",
    summary="RabbitMQ users with permissions by virtual host, made and dropped by the server.",
    mount=MOUNT,
    required=("connection_uri", "username", "password"),
    objects=(
        Object(
            key="roles",
            list="{mount}/roles",
            gives=(leases("{mount}/creds/{name}", "user"),),
            shut={"tags": NOTHING, "vhosts": {}, "vhost_topics": {}},
            parts=(
                Part(
                    Resource(
                        type="vault_rabbitmq_secret_backend_role",
                        path=_ROLE,
                        mount="backend",
                        name="name",
                        leases="{backend}/creds/{name}",
                        fields={
                            "tags": Field(TEXT, limit=_NO_ADMINISTRATOR),
                            "vhosts": Field(_HOSTS, "vhost"),
                            "vhost_topics": Field(_TOPICS, "vhost_topic"),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "rabbitmq",
        "description": "orders' queues",
        "connection_uri": "https://rabbitmq.example.org:15671",
        "username": "strongroom",
        "password": "env:RABBITMQ_PASSWORD",
        "verify_connection": False,
        "default_lease_ttl": "1h",
        "max_lease_ttl": "8h",
        "roles": {
            "orders": {
                "tags": "management",
                "vhosts": {"/": {"configure": "", "write": "orders[.].*", "read": "orders[.].*"}},
                "vhost_topics": {"/": {"amq.topic": {"write": "", "read": "orders[.].*"}}},
            }
        },
    },
)
