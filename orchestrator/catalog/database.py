"""Database: accounts made, rotated and dropped by the server."""

from __future__ import annotations

from orchestrator.catalog.shared import SECRETS_MOUNT
from orchestrator.model import (
    FLAG,
    LIST,
    MAP,
    NUMBER,
    SECONDS,
    TEXT,
    Field,
    Json,
    Kind,
    Object,
    Part,
    Resource,
    Shape,
    Write,
    choice,
)

_CONNECTION = "{backend}/config/{name}"
_ROLE = "{backend}/roles/{name}"
_STATIC = "{backend}/static-roles/{name}"
_CREDENTIAL = choice("password", "rsa_private_key", "client_certificate")
_ENTERPRISE = {"openbao": "OpenBao does not rotate the root credential on a schedule; leave it out"}
_NO_CRON = {"openbao": "OpenBao has no cron schedules; write rotation_period: 24h"}
_NO_IMPORT = {"openbao": "OpenBao cannot take over an account without rotating it; leave it out"}


def _block(shape: Shape, name: str, *, secret: bool = False, **more: Json) -> Field:
    there = f"connection_details.{name}"
    return Field(shape, f"postgresql.{name}{'_wo' if secret else ''}", there, secret=secret, **more)


def _unused(name: str, *, sensitive: bool = False) -> Field:
    return _block(TEXT, name, yaml=False, readable=False, sensitive=sensitive)


POSTGRESQL = Resource(
    type="vault_database_secret_backend_connection",
    path=_CONNECTION,
    mount="backend",
    name="name",
    constants={"plugin_name": "postgresql-database-plugin"},
    groups={"postgresql": "block"},
    fields={
        "allowed_roles": Field(LIST, names="roles,static_roles"),
        "verify_connection": Field(FLAG, default=True, readable=False),
        "root_rotation_statements": Field(
            LIST, api="root_credentials_rotate_statements", sent="root_rotation_statements"
        ),
        "password_policy": Field(TEXT),
        "plugin_name": Field(TEXT, computed=True, yaml=False),
        "plugin_version": Field(TEXT),
        "rotation_period": Field(SECONDS, absent=_ENTERPRISE),
        "rotation_schedule": Field(TEXT, absent=_ENTERPRISE),
        "rotation_window": Field(SECONDS, absent=_ENTERPRISE),
        "disable_automated_rotation": Field(FLAG, absent=_ENTERPRISE),
        "skip_static_role_import_rotation": Field(FLAG, yaml=False, readable=False, computed=True),
        "data": Field(MAP, yaml=False, readable=False),
        "connection_url": _block(TEXT, "connection_url"),
        "username": _block(TEXT, "username"),
        "password": _block(TEXT, "password", secret=True),
        "username_template": _block(TEXT, "username_template"),
        "password_authentication": _block(
            choice("password", "scram-sha-256"), "password_authentication", default="password"
        ),
        "disable_escaping": _block(FLAG, "disable_escaping"),
        "max_open_connections": _block(NUMBER, "max_open_connections"),
        "max_idle_connections": _block(NUMBER, "max_idle_connections"),
        "max_connection_lifetime": _block(SECONDS, "max_connection_lifetime"),
        "tls_ca": _block(TEXT, "tls_ca"),
        "tls_certificate": _block(TEXT, "tls_certificate"),
        "self_managed": _block(FLAG, "self_managed", yaml=False, readable=False),
        "auth_type": _unused("auth_type"),
        "plain_password": Field(
            TEXT, "postgresql.password", "connection_details.plain_password", sensitive=True, readable=False, yaml=False
        ),
        "private_key": _unused("private_key", sensitive=True),
        "service_account_json": _unused("service_account_json", sensitive=True),
    },
    writes=(Write(_CONNECTION),),
)

DATABASE = Kind(
    name="database",
    family="secrets",
    canary="orchestrator.live.canaries.database:trials",
    summary="Accounts made, rotated and dropped by the server.",
    mount=SECRETS_MOUNT,
    objects=(
        Object(
            key="postgresql",
            list="{mount}/config",
            required=("connection_url", "allowed_roles"),
            parts=(Part(POSTGRESQL),),
        ),
        Object(
            key="roles",
            list="{mount}/roles",
            required=("db_name", "creation_statements"),
            parts=(
                Part(
                    Resource(
                        type="vault_database_secret_backend_role",
                        path=_ROLE,
                        leases="{backend}/creds/{name}",
                        mount="backend",
                        name="name",
                        fields={
                            "db_name": Field(TEXT, required=True, names="postgresql"),
                            "creation_statements": Field(LIST, required=True),
                            "revocation_statements": Field(LIST),
                            "rollback_statements": Field(LIST),
                            "renew_statements": Field(LIST),
                            "default_ttl": Field(SECONDS),
                            "max_ttl": Field(SECONDS),
                            "credential_type": Field(_CREDENTIAL, default="password", computed=True),
                            "credential_config": Field(MAP),
                        },
                        writes=(Write(_ROLE),),
                        after=("vault_database_secret_backend_connection",),
                    )
                ),
            ),
        ),
        Object(
            key="static_roles",
            list="{mount}/static-roles",
            required=("db_name", "username"),
            parts=(
                Part(
                    Resource(
                        type="vault_database_secret_backend_static_role",
                        path=_STATIC,
                        mount="backend",
                        name="name",
                        fields={
                            "db_name": Field(TEXT, required=True, names="postgresql", replace=True),
                            "username": Field(TEXT, required=True, replace=True),
                            "rotation_period": Field(
                                SECONDS, default="24h", official=0, only={"rotation_schedule": None}
                            ),
                            "rotation_schedule": Field(TEXT, absent=_NO_CRON),
                            "rotation_window": Field(SECONDS, absent=_NO_CRON),
                            "rotation_statements": Field(LIST),
                            "credential_type": Field(_CREDENTIAL, default="password", computed=True),
                            "credential_config": Field(MAP),
                            "skip_import_rotation": Field(FLAG, computed=True, readable=False, absent=_NO_IMPORT),
                            "password": Field(
                                TEXT,
                                "password_wo",
                                secret=True,
                                absent={"openbao": "OpenBao sets the first password itself; leave it out"},
                            ),
                            "self_managed_password": Field(TEXT, yaml=False, readable=False, sensitive=True),
                        },
                        writes=(Write(_STATIC),),
                        after=("vault_database_secret_backend_connection",),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "database",
        "default_lease_ttl": "1h",
        "postgresql": {
            "orders": {
                "connection_url": "postgresql://{{username}}:{{password}}@${LOCAL_POSTGRES}/orders?sslmode=disable",
                "username": "strongroom",
                "password": "env:LOCAL_POSTGRES_PASSWORD",
                "password_authentication": "scram-sha-256",
                "max_open_connections": 4,
                "allowed_roles": ["orders-read", "orders-owner"],
            }
        },
        "roles": {
            "orders-read": {
                "db_name": "orders",
                "creation_statements": [
                    "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
                    'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}"',
                ],
                "revocation_statements": ['DROP OWNED BY "{{name}}"', 'DROP ROLE IF EXISTS "{{name}}"'],
                "default_ttl": "1h",
                "max_ttl": "24h",
            }
        },
        "static_roles": {
            "orders-owner": {"db_name": "orders", "username": "orders_owner", "rotation_period": "24h"},
        },
    },
)
