"""LDAP: passwords of a directory's accounts, made, rotated and lent."""

from __future__ import annotations

from orchestrator.catalog.shared import NOTHING, keys, leases, secrets_engine, turned
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, PEM, SECONDS, TEXT, choice

_STATIC = "{mount}/static-role/{role_name}"
_DYNAMIC = "{mount}/role/{role_name}"
_LIBRARY = "{mount}/library/{name}"
_NO_SUCH = {"openbao": "OpenBao has no such setting; leave it out"}
_ENTERPRISE = {
    "openbao": "OpenBao does not rotate it by itself; leave it out",
    "vault": "only Vault Enterprise rotates it by itself; leave it out",
}
_VERIFIED = Limit(
    "ldap-insecure-tls",
    lambda value: not value,
    "whoever stands between could read the password that rotates all others; write the CA's PEM as certificate",
)

_CONFIG = {
    "config.url": Field(TEXT, computed=True, default="ldap://127.0.0.1"),
    "config.binddn": Field(TEXT, required=True),
    "config.bindpass": Field(TEXT, "bindpass_wo", secret=True, sensitive=True),
    "config.userdn": Field(TEXT),
    "config.userattr": Field(TEXT, default="cn", computed=True),
    "config.upndomain": Field(TEXT, default="", computed=True),
    "config.schema": Field(choice("openldap", "ad", "racf"), default="openldap", computed=True),
    "config.password_policy": Field(TEXT),
    "config.certificate": Field(PEM),
    "config.starttls": Field(FLAG, default=False, computed=True),
    "config.insecure_tls": Field(FLAG, limit=_VERIFIED),
    "config.connection_timeout": Field(SECONDS, default=30),
    "config.request_timeout": Field(SECONDS, default=90, computed=True),
    "config.skip_static_role_import_rotation": Field(FLAG),
    "config.rotation_period": Field(SECONDS, absent=_ENTERPRISE),
    "config.rotation_schedule": Field(TEXT, absent=_ENTERPRISE),
    "config.rotation_window": Field(SECONDS, absent=_ENTERPRISE),
    "config.disable_automated_rotation": Field(FLAG, absent=_ENTERPRISE),
    "config.credential_type": Field(choice("password", "phrase"), computed=True, default="password", absent=_NO_SUCH),
    **{
        f"config.{name}": Field(FLAG, computed=True, default=False, absent=_NO_SUCH)
        for name in ("auto_unlock", "rotate_on_read", "self_managed")
    },
    "config.rotate_on_read_cooldown": Field(SECONDS, computed=True, default=0, absent=_NO_SUCH),
    "bindpass_in_state": Field(TEXT, "bindpass", "bindpass", sensitive=True, readable=False, yaml=False),
    "client_tls_cert": Field(TEXT, sensitive=True, readable=False, yaml=False),
    "client_tls_key": Field(TEXT, sensitive=True, readable=False, yaml=False),
}
_MOUNT = secrets_engine(
    "vault_ldap_secret_backend", "ldap", _CONFIG, (Write("{path}/config", tuple(dict.fromkeys(keys(_CONFIG)))),)
)

LDAP_SECRETS = Kind(
    name="ldap",
    family="secrets",
    canary="orchestrator.live.canaries.ldap_secrets:trials",
    summary="Passwords of a directory's accounts, made, rotated and lent.",
    mount=_MOUNT,
    required=("config",),
    absent={"openbao>=2.7": "OpenBao has LDAP as a plugin from 2.7 on; register one, or run OpenBao 2.6 or Vault"},
    objects=(
        Object(
            key="static_roles",
            gives=(turned("password", "{mount}/rotate-role/{name}"),),
            list="{mount}/static-role",
            required=("username", "rotation_period"),
            parts=(
                Part(
                    Resource(
                        type="vault_ldap_secret_backend_static_role",
                        path=_STATIC,
                        mount="mount",
                        mount_default="ldap",
                        name="role_name",
                        fields={
                            "username": Field(TEXT, required=True, replace=True),
                            "dn": Field(TEXT, replace=True),
                            "rotation_period": Field(SECONDS),
                            "skip_import_rotation": Field(FLAG, readable=False, replace=True),
                            "password": Field(
                                TEXT,
                                "password_wo",
                                secret=True,
                                sensitive=True,
                                absent={"openbao": "OpenBao sets the first password itself; leave it out"},
                            ),
                            "rotation_schedule": Field(TEXT, absent=_NO_SUCH),
                            "rotation_window": Field(SECONDS, absent=_NO_SUCH),
                            "rotation_policy": Field(TEXT, absent=_NO_SUCH),
                            "password_policy": Field(TEXT, absent=_NO_SUCH),
                            "disable_automated_rotation": Field(FLAG, absent=_NO_SUCH),
                            "auto_unlock": Field(FLAG, default=False, computed=True, absent=_NO_SUCH),
                            "rotate_on_read": Field(FLAG, absent=_NO_SUCH),
                            "rotate_on_read_cooldown": Field(SECONDS, absent=_NO_SUCH),
                        },
                        writes=(
                            Write(_STATIC, on=("create",)),
                            Write(
                                _STATIC,
                                (
                                    "username",
                                    "dn",
                                    "rotation_period",
                                    "password",
                                    "rotation_schedule",
                                    "rotation_window",
                                    "rotation_policy",
                                    "password_policy",
                                    "disable_automated_rotation",
                                    "auto_unlock",
                                    "rotate_on_read",
                                    "rotate_on_read_cooldown",
                                ),
                                on=("update",),
                            ),
                        ),
                        loses="nobody rotates its password any more",
                    )
                ),
            ),
        ),
        Object(
            key="dynamic_roles",
            gives=(leases("{mount}/creds/{name}", "account"),),
            shut={"creation_ldif": f"dn: cn={NOTHING}\nchangetype: delete\n"},
            merges=True,
            list="{mount}/role",
            required=("creation_ldif", "deletion_ldif"),
            parts=(
                Part(
                    Resource(
                        type="vault_ldap_secret_backend_dynamic_role",
                        path=_DYNAMIC,
                        leases="{mount}/creds/{role_name}",
                        mount="mount",
                        mount_default="ldap",
                        name="role_name",
                        fields={
                            "creation_ldif": Field(TEXT, required=True),
                            "deletion_ldif": Field(TEXT, required=True),
                            "rollback_ldif": Field(TEXT),
                            "username_template": Field(TEXT),
                            "password_policy": Field(TEXT, absent=_NO_SUCH),
                            "default_ttl": Field(SECONDS, default="1h", official=0),
                            "max_ttl": Field(SECONDS, default="24h", official=0),
                        },
                        writes=(Write(_DYNAMIC),),
                    )
                ),
            ),
        ),
        Object(
            key="library",
            gives=(leases("{mount}/library/{name}/check-out", "check-out"),),
            open="nothing holds back new check-outs but the policies of those who make them",
            list="{mount}/library",
            required=("service_account_names",),
            parts=(
                Part(
                    Resource(
                        type="vault_ldap_secret_backend_library_set",
                        path=_LIBRARY,
                        mount="mount",
                        mount_default="ldap",
                        name="name",
                        fields={
                            "service_account_names": Field(LIST, required=True),
                            "ttl": Field(SECONDS, default="24h", computed=True),
                            "max_ttl": Field(SECONDS, default="24h", computed=True),
                            "disable_check_in_enforcement": Field(FLAG),
                        },
                        writes=(Write(_LIBRARY),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "ldap",
        "description": "accounts of the directory",
        "config": {
            "url": "ldaps://ldap.example.org",
            "binddn": "cn=openbao,ou=services,dc=example,dc=org",
            "bindpass": "env:LDAP_BINDPASS",
            "userdn": "ou=people,dc=example,dc=org",
            "userattr": "uid",
            "request_timeout": "30s",
            "connection_timeout": "10s",
        },
        "dynamic_roles": {
            "batch": {
                "creation_ldif": (
                    "dn: cn={{.Username}},ou=people,dc=example,dc=org\nobjectClass: person\n"
                    "cn: {{.Username}}\nsn: {{.Username}}\nuserPassword: {{.Password}}\n"
                ),
                "deletion_ldif": "dn: cn={{.Username}},ou=people,dc=example,dc=org\nchangetype: delete\n",
                "username_template": "batch-{{random 8}}",
                "default_ttl": "30m",
                "max_ttl": "2h",
            }
        },
    },
)
