"""A database's connections: one YAML key a plugin, one Terraform type for all of them, one block of it a plugin."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.model import Field, Object, Part, Renew, Resource, Write
from orchestrator.shapes import FLAG, LIST, MAP, NUMBER, SECONDS, SECONDS_TEXT, TEXT, Shape, choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json

TYPE = "vault_database_secret_backend_connection"
_PATH = "{backend}/config/{name}"
WITNESS = "orchestrator.incident.proofs.database:witness"
_ROOT = Renew(
    "root password",
    Write("{mount}/rotate-root/{name}"),
    ends=True,
    alone=True,
    stops="whoever else uses this account",
    warns="nobody but the server knows its password from then on, and the YAML's no longer fits: raise "
    "password_version only once the database has a password that you know",
)
_NO_ROTATION = {
    "openbao": "OpenBao does not rotate the root credential on a schedule; leave it out",
    "vault": "only Vault Enterprise rotates the root credential on a schedule; leave it out",
}
_NO_CLOUD = {"openbao": "OpenBao does not log in to databases by IAM; leave it out"}
_SENT_WITH_UNIT = replace(SECONDS, send=lambda value: f"{value or 0}s")  # the official provider reads nothing else


def _no_plugin(plugin: str) -> dict[str, str]:
    return {"openbao": f"OpenBao has no plugin for {plugin}; run it on HashiCorp Vault"}


def _words(value: Json) -> list[str]:
    """A list that the API keeps as one text.

    >>> _words("10.0.0.1,10.0.0.2"), _words(["10.0.0.1"]), _words(None)
    (['10.0.0.1', '10.0.0.2'], ['10.0.0.1'], [])
    """
    return [word for word in (value.split(",") if isinstance(value, str) else value or []) if word]


def _document(value: Json) -> Json:
    return json.loads(value) if isinstance(value, str) and value else dict(value or {})


_HOSTS = replace(
    LIST,
    schema={
        "type": "array",
        "items": {"type": "string", "pattern": "^[^,]+$"},
        "uniqueItems": True,
    },  # the API joins them with commas
    expected="a list of hosts",
    canon=_words,
    send=",".join,
)
_TEXT_FLAG = replace(FLAG, canon=lambda value: value in (True, "true"), send=lambda value: str(bool(value)).lower())
_CONCERN = Shape(
    "string",
    {"type": "object"},
    "a map such as {wmode: majority}",
    _document,
    lambda value: json.dumps(_document(value), sort_keys=True, separators=(",", ":")) if value else "",
    "",
)


def _unused(name: str = "", *, shape: Shape = TEXT, sensitive: bool = False) -> Field:
    return Field(shape, name, yaml=False, readable=False, sensitive=sensitive)


_COMMON = {
    "allowed_roles": Field(LIST, names="roles,static_roles"),
    "verify_connection": Field(FLAG, default=True, readable=False),
    "root_rotation_statements": Field(LIST, api="root_credentials_rotate_statements", sent="root_rotation_statements"),
    "password_policy": Field(TEXT, names="password_policies/password_policies"),
    "plugin_name": Field(TEXT, computed=True, replace=True, yaml=False),
    "plugin_version": Field(TEXT),
    "rotation_period": Field(SECONDS, absent=_NO_ROTATION),
    "rotation_schedule": Field(TEXT, absent=_NO_ROTATION),
    "rotation_window": Field(SECONDS, absent=_NO_ROTATION),
    "disable_automated_rotation": Field(FLAG, absent=_NO_ROTATION),
    "skip_static_role_import_rotation": Field(FLAG, yaml=False, readable=False, computed=True),
    "data": Field(MAP, yaml=False, readable=False),
}
_ACCOUNT = {
    "username": Field(TEXT),
    "password": Field(TEXT, "password_wo", "password", secret=True),
    "plain_password": Field(
        TEXT, "password", "plain_password", sent="password", yaml=False, readable=False, sensitive=True
    ),
}
_TEMPLATE = {"username_template": Field(TEXT)}
_SQL = {
    "connection_url": Field(TEXT),
    **_ACCOUNT,
    **_TEMPLATE,
    "max_open_connections": Field(NUMBER, default=4, official=2),
    "max_idle_connections": Field(NUMBER),
    "max_connection_lifetime": Field(_SENT_WITH_UNIT),
}
_ESCAPING = {"disable_escaping": Field(FLAG)}
_CLOUD = {
    "auth_type": Field(choice("", "gcp_iam"), absent=_NO_CLOUD),
    "service_account_json": _unused(sensitive=True),
}
_TLS_CA = {"tls_ca": Field(TEXT), "tls_certificate_key": _unused(sensitive=True)}
_MYSQL = {**_SQL, **_CLOUD, **_TLS_CA}
_POSTGRESQL = {
    **_SQL,
    **_ESCAPING,
    **_CLOUD,
    "password_authentication": Field(choice("password", "scram-sha-256"), default="scram-sha-256", official="password"),
    "tls_ca": Field(TEXT),
    "tls_certificate": Field(TEXT),
    "private_key": _unused(sensitive=True),
    "self_managed": _unused(shape=FLAG),
}
_ORACLE = {
    **_SQL,
    "split_statements": Field(FLAG, default=True),
    "disconnect_sessions": Field(FLAG, default=True),
    "self_managed": _unused(shape=FLAG),
}
_SNOWFLAKE = {**_SQL, "private_key": Field(TEXT, "private_key_wo", "private_key", secret=True, sensitive=True)}
_MONGODB = {**_SQL, **_TLS_CA, "write_concern": Field(_CONCERN)}

# What follows has no write-only arguments: Terraform holds a stand-in, and the secret goes beside it.
_PASSWORD = {"password": Field(TEXT, required=True, secret=True, apart=True, sensitive=True, readable=False)}
_USER = {"username": Field(TEXT, required=True), **_PASSWORD}
_TLS = {"tls": Field(FLAG, default=True), "insecure_tls": Field(FLAG)}
_OFF_BY_OFFICIAL = {**_TLS, "tls": Field(FLAG, default=True, official=False)}
_PEMS = {"pem_bundle": _unused(sensitive=True), "pem_json": _unused(sensitive=True)}
_TIMEOUT = {"connect_timeout": Field(SECONDS, default=5)}
_REDIS = {
    "host": Field(TEXT, required=True),
    "port": Field(NUMBER, default=6379),
    **_USER,
    **_OFF_BY_OFFICIAL,
    "ca_cert": Field(TEXT, default="", official="0"),
}
_ELASTICACHE = {
    "url": Field(TEXT, required=True),
    "region": Field(TEXT),
    "username": _unused(sensitive=True),  # the server's own role is the better way in
    "password": _unused(sensitive=True),
}
_CASSANDRA = {
    "hosts": Field(_HOSTS),
    "port": Field(NUMBER, default=9042),
    "username": Field(TEXT),
    "password": replace(_PASSWORD["password"], required=False),
    **_TEMPLATE,
    **_TLS,
    "tls_server_name": Field(TEXT),
    "local_datacenter": Field(TEXT),
    "socket_keep_alive": Field(SECONDS_TEXT, default="0"),
    "consistency": Field(TEXT),
    "protocol_version": Field(NUMBER, default=2),
    **_TIMEOUT,
    "skip_verification": Field(FLAG),
    **_PEMS,
}
_INFLUXDB = {
    "host": Field(TEXT, required=True),
    "port": Field(NUMBER, default=8086),
    **_USER,
    **_TEMPLATE,
    **_TLS,
    **_TIMEOUT,
    **_PEMS,
}
_ELASTICSEARCH = {
    "url": Field(TEXT, required=True),
    **_USER,
    **_TEMPLATE,
    **{name: Field(TEXT) for name in ("ca_cert", "ca_path", "client_cert", "client_key", "tls_server_name")},
    "insecure": Field(FLAG),
}
_COUCHBASE = {
    "hosts": Field(_HOSTS, required=True),
    **_USER,
    **_TEMPLATE,
    **_OFF_BY_OFFICIAL,
    "base64_pem": Field(TEXT, api="base64pem", sensitive=True),
    "bucket_name": Field(TEXT),
}
_ATLAS = {
    "public_key": Field(TEXT, required=True),
    "private_key": _PASSWORD["password"],
    "project_id": Field(TEXT, required=True),
    **_TEMPLATE,
}


def _connection(
    block: str,
    fields: Mapping[str, Field],
    required: tuple[str, ...] = ("connection_url",),
    *,
    plugin: str = "",
    missing: str = "",
    beside: tuple[str, ...] = (),
) -> Object:
    """The connections of one plugin; `missing` is what OpenBao lacks, `beside` when a secret goes beside Terraform."""
    secrets = tuple(name for name, one in fields.items() if one.apart)
    return Object(
        key=block,
        list="{mount}/config",
        required=(*required, "allowed_roles"),
        renew=_ROOT,
        witness=WITNESS,
        parts=(Part(_resource(block, fields, plugin or f"{block.replace('_', '-')}-database-plugin", beside)),),
        extra={"verify_connection": _COMMON["verify_connection"]} if secrets else {},
        absent=_no_plugin(missing) if missing else {},
    )


def _resource(block: str, fields: Mapping[str, Field], plugin: str, beside: tuple[str, ...]) -> Resource:
    secrets = tuple(name for name, one in fields.items() if one.apart)
    verify = {"verify_connection": replace(_COMMON["verify_connection"], yaml=False)} if secrets else {}
    return Resource(
        type=TYPE,
        path=_PATH,
        mount="backend",
        name="name",
        constants={"plugin_name": plugin, **({"verify_connection": False} if secrets else {})},
        groups={block: "block"},
        fields={**_COMMON, **verify, **{name: _inside(block, name, one) for name, one in fields.items()}},
        writes=(Write(_PATH),),
        after=("vault_password_policy",),
        beside=Write(_PATH, (*secrets, "verify_connection"), on=beside or ("create",)) if secrets else None,
    )


def _inside(block: str, name: str, one: Field) -> Field:
    """A setting of a plugin: in a block for Terraform, among the connection's details for the API."""
    there = f"connection_details.{one.api or name}"
    return replace(one, terraform=f"{block}.{one.terraform or name}", api=there)


CONNECTIONS = (
    _connection("postgresql", _POSTGRESQL),
    _connection("mysql", _MYSQL),
    _connection("mysql_aurora", _MYSQL),
    _connection("mysql_rds", _MYSQL),
    _connection("mysql_legacy", _MYSQL),
    _connection("mssql", {**_SQL, **_ESCAPING, "contained_db": Field(_TEXT_FLAG)}, missing="Microsoft SQL Server"),
    _connection("mongodb", _MONGODB, missing="MongoDB"),
    _connection(
        "mongodbatlas",
        _ATLAS,
        ("public_key", "private_key", "project_id"),
        missing="MongoDB Atlas",
        beside=("create", "update"),  # the official provider sends its stand-in with every change
    ),
    _connection("redis", _REDIS, ("host", "username", "password")),
    _connection("redis_elasticache", _ELASTICACHE, ("url",), missing="ElastiCache"),
    _connection("cassandra", _CASSANDRA, ("hosts", "username", "password")),
    _connection("elasticsearch", _ELASTICSEARCH, ("url", "username", "password"), missing="Elasticsearch"),
    _connection("oracle", _ORACLE, plugin="vault-plugin-database-oracle", missing="Oracle"),
    _connection("snowflake", _SNOWFLAKE, missing="Snowflake"),
    _connection("redshift", {**_SQL, **_ESCAPING}, missing="Redshift"),
    _connection("couchbase", _COUCHBASE, ("hosts", "username", "password"), missing="Couchbase"),
    _connection("influxdb", _INFLUXDB, ("host", "username", "password")),
    _connection("hana", {**_SQL, **_ESCAPING}, missing="SAP HANA"),
)
