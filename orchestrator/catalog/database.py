"""Database: accounts made, rotated and dropped by the server."""

from __future__ import annotations

from orchestrator.catalog.connections import CONNECTIONS, TYPE, WITNESS
from orchestrator.catalog.shared import SECRETS_MOUNT, leases
from orchestrator.model import Field, Kind, Limit, Object, Part, Renew, Resource, Write
from orchestrator.shapes import FLAG, LIST, MAP, SECONDS, TEXT, choice, seconds

_ROLE = "{backend}/roles/{name}"
_STATIC = "{backend}/static-roles/{name}"
_KEYS = ",".join(one.key for one in CONNECTIONS)
_TURN = Renew(
    "password",
    Write("{mount}/rotate-role/{name}"),
    ends=True,
    held="{mount}/static-creds/{name}",
    stamp=("{mount}/static-roles/{name}", "last_vault_rotation"),
    stops="whoever has the present password, until he asks the server for the new one",
)
_CREDENTIAL = choice("password", "rsa_private_key", "client_certificate")
_NO_CRON = {"openbao": "OpenBao has no cron schedules; write rotation_period: 24h"}
_NO_IMPORT = {"openbao": "OpenBao cannot take over an account without rotating it; leave it out"}
_DAY = 86400
_SHORT = Limit(
    "long-lease",
    lambda value: 0 < seconds(value) <= _DAY,
    "an account that outlives the day that it was made on outlives the work that it was made for",
)

_CA = """\
-----BEGIN CERTIFICATE-----
MIIBKzCB0qADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCkV4YW1wbGUg
Q0EwHhcNMjUwMTAxMDAwMDAwWhcNNDUwMTAxMDAwMDAwWjAVMRMwEQYDVQQDDApF
eGFtcGxlIENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOODvCMI7wJQcdzmo
6apXTz6dgYcsqW3w4AnIGogfwWXFYKa93pyGpVzaflIwaNzSsMDm53YjbRp2etRe
QMEVmqMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBP6vfU
tXr7s+CixzuJQhCaXddO7H7sLROfhetYRarq+wIhAPoPKbLxEv2oiEygiZuZwPpE
q/4j2hWLJ8jb3uoolA5F
-----END CERTIFICATE-----
"""

DATABASE = Kind(
    name="database",
    family="secrets",
    canary="orchestrator.live.canaries.database:trials",
    account="orchestrator.incident.kinds.database:account",
    summary="Accounts made, rotated and dropped by the server.",
    mount=SECRETS_MOUNT,
    objects=(
        *CONNECTIONS,
        Object(
            key="roles",
            list="{mount}/roles",
            required=("db_name", "creation_statements"),
            gives=(leases("{mount}/creds/{name}", "account"),),
            shut={"creation_statements": []},
            witness=WITNESS,
            parts=(
                Part(
                    Resource(
                        type="vault_database_secret_backend_role",
                        path=_ROLE,
                        leases="{backend}/creds/{name}",
                        mount="backend",
                        name="name",
                        fields={
                            "db_name": Field(TEXT, required=True, names=_KEYS),
                            "creation_statements": Field(LIST, required=True),
                            "revocation_statements": Field(LIST),
                            "rollback_statements": Field(LIST),
                            "renew_statements": Field(LIST),
                            "default_ttl": Field(SECONDS, default="1h", official=0, limit=_SHORT),
                            "max_ttl": Field(SECONDS, default="24h", official=0, limit=_SHORT),
                            "credential_type": Field(_CREDENTIAL, default="password", computed=True),
                            "credential_config": Field(MAP),
                        },
                        writes=(Write(_ROLE),),
                        after=(TYPE,),
                    )
                ),
            ),
        ),
        Object(
            key="static_roles",
            list="{mount}/static-roles",
            required=("db_name", "username"),
            one_of=(("rotation_period", "rotation_schedule"),),
            renew=_TURN,
            witness=WITNESS,
            parts=(
                Part(
                    Resource(
                        type="vault_database_secret_backend_static_role",
                        path=_STATIC,
                        mount="backend",
                        name="name",
                        fields={
                            "db_name": Field(TEXT, required=True, names=_KEYS, replace=True),
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
                        after=(TYPE,),
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
        "mysql": {
            "shop": {
                "connection_url": "{{username}}:{{password}}@tcp(mysql.example.org:3306)/",
                "username": "strongroom",
                "password": "env:MYSQL_PASSWORD",
                "username_template": "{{ .RoleName }}-{{ random 10 }}",
                "max_idle_connections": 2,
                "max_connection_lifetime": "30m",
                "verify_connection": False,
                "allowed_roles": [],
            }
        },
        "redis": {
            "cache": {
                "host": "redis.example.org",
                "port": 6380,
                "username": "strongroom",
                "password": "env:REDIS_PASSWORD",
                "ca_cert": _CA,
                "verify_connection": False,
                "allowed_roles": [],
            }
        },
        "cassandra": {
            "events": {
                "hosts": ["cassandra-1.example.org", "cassandra-2.example.org"],
                "username": "strongroom",
                "password": "env:CASSANDRA_PASSWORD",
                "local_datacenter": "dc1",
                "consistency": "LOCAL_QUORUM",
                "protocol_version": 4,
                "socket_keep_alive": "30s",
                "verify_connection": False,
                "allowed_roles": [],
            }
        },
        "influxdb": {
            "metrics": {
                "host": "influxdb.example.org",
                "username": "strongroom",
                "password": "env:INFLUXDB_PASSWORD",
                "connect_timeout": "10s",
                "verify_connection": False,
                "allowed_roles": [],
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
