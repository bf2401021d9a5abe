"""LDAP: people log in with their password in a directory."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import (
    AFTER_POLICIES,
    AUTH_FIELDS,
    AUTH_GONE,
    AUTH_WRITES,
    EXAMPLE_CA,
    SHUT,
    SHUT_POLICIES,
    TOKEN,
    members_tokens,
    users_tokens,
)
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import CASELESS, COMMAS, FLAG, PEM, SECONDS, SET, SIGNED, TEXT, choice

NO_DIRECTORY = {
    "openbao>=2.7": "OpenBao has no such auth method from 2.7 on; use OIDC, or stay on OpenBao 2.6 or HashiCorp Vault"
}
_NOT_HERE = {"openbao": "OpenBao has no such setting; leave it out"}
_NO_ROTATION = {
    "openbao": "OpenBao does not rotate the password it binds with; leave it out",
    "vault": "rotating the password it binds with needs Vault Enterprise; leave it out",
}
_TLS = choice("tls10", "tls11", "tls12", "tls13")
_CHECKED = Limit("insecure-tls", lambda on: not on, "whoever stands between reads every password; give a certificate")
_NO_OLD_TLS = Limit("old-tls", lambda version: version not in ("tls10", "tls11"), "TLS before 1.2 is broken")
_NULL_BIND = Limit("null-bind", bool, "many directories take an empty password for a login by anybody")

FILLED_IN = {  # what both resources of the provider leave to the server where nothing is said
    "userattr": Field(CASELESS, default="cn", computed=True),
    "userfilter": Field(TEXT, default="({{.UserAttr}}={{.Username}})", computed=True),
    "groupattr": Field(TEXT, default="cn", computed=True),
    "groupfilter": Field(
        TEXT,
        default="(|(memberUid={{.Username}})(member={{.UserDN}})(uniqueMember={{.UserDN}}))",
        computed=True,
    ),
    "deny_null_bind": Field(FLAG, default=True, computed=True, limit=_NULL_BIND),
    "dereference_aliases": Field(choice("never", "finding", "searching", "always"), default="never", computed=True),
    "tls_min_version": Field(_TLS, default="tls12", computed=True, limit=_NO_OLD_TLS),
    "tls_max_version": Field(_TLS, default="tls13", computed=True, limit=_NO_OLD_TLS),
    "connection_timeout": Field(SECONDS, default=30, computed=True),
    "request_timeout": Field(SECONDS, default=90, computed=True),
}
PLAIN = {
    **{name: Field(TEXT) for name in ("userdn", "groupdn", "binddn", "upndomain")},
    "certificate": Field(PEM),
    "insecure_tls": Field(FLAG, limit=_CHECKED),
    **{
        name: Field(FLAG)
        for name in (
            "starttls",
            "discoverdn",
            "anonymous_group_search",
            "case_sensitive_names",
            "use_token_groups",
            "username_as_alias",
        )
    },
    "enable_samaccountname_login": Field(FLAG, absent=_NOT_HERE),
}
_CONFIG = {
    "url": Field(CASELESS, required=True),
    "bindpass": Field(TEXT, "bindpass_wo", secret=True, sensitive=True),
    **{name: replace(one, computed=True, default=one.shape.zero) for name, one in PLAIN.items()},
    **FILLED_IN,
    "max_page_size": Field(SIGNED, default=-1),
    "rotation_period": Field(SECONDS, absent=_NO_ROTATION),
    "rotation_schedule": Field(TEXT, absent=_NO_ROTATION),
    "rotation_window": Field(SECONDS, absent=_NO_ROTATION),
    "disable_automated_rotation": Field(FLAG, absent=_NO_ROTATION),
    **TOKEN,
}

MOUNT = Resource(
    type="vault_ldap_auth_backend",
    path="sys/mounts/auth/{path}",
    mount="path",
    mount_default="ldap",
    id="{path}",
    version=2,
    fields={
        **AUTH_FIELDS,
        "description": Field(TEXT, default="", computed=True),
        **{f"config.{name}": one for name, one in _CONFIG.items()},
        "bindpass": Field(TEXT, yaml=False, readable=False, sensitive=True),
        "client_tls_cert": Field(TEXT, yaml=False, readable=False, computed=True),
        "client_tls_key": Field(TEXT, yaml=False, readable=False, computed=True, sensitive=True),
    },
    reads=("sys/mounts/auth/{path}", "auth/{path}/config"),
    writes=(
        replace(AUTH_WRITES[0], data={"type": "ldap"}, always=True),
        *AUTH_WRITES[1:],
        Write("auth/{path}/config", (*_CONFIG, "client_tls_cert", "client_tls_key")),
    ),
    delete=Write("sys/auth/{path}", method="DELETE"),
    gone=AUTH_GONE,
    groups={"tune": "attribute"},
    after=AFTER_POLICIES,
)
_GROUP = "auth/{backend}/groups/{groupname}"
_USER = "auth/{backend}/users/{username}"
_CASED = "config.case_sensitive_names"

LDAP = Kind(
    name="ldap",
    family="auth",
    canary="orchestrator.live.canaries.ldap:trials",
    summary="People log in with their password in a directory.",
    mount=MOUNT,
    required=("config", "config.url"),
    absent=NO_DIRECTORY,
    shut=Write("auth/{mount}/config", data=SHUT),
    objects=(
        Object(
            key="groups",
            list="auth/{mount}/groups",
            gives=(members_tokens(),),
            shut={"policies": SHUT_POLICIES},
            merges=True,
            lower=True,
            cased=_CASED,
            also=" @",
            parts=(
                Part(
                    Resource(
                        type="vault_ldap_auth_backend_group",
                        path=_GROUP,
                        mount="backend",
                        mount_default="ldap",
                        name="groupname",
                        version=1,
                        fields={"policies": Field(SET, names="policy", default=[], computed=True)},
                        writes=(Write(_GROUP),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
        Object(
            key="users",
            list="auth/{mount}/users",
            gives=(users_tokens(),),
            shut={"policies": SHUT_POLICIES, "groups": ""},
            merges=True,
            alias="{name}",
            open="whoever the directory knows still logs in, and has what the mount and its groups give",
            lower=True,
            cased=_CASED,
            also=" @",
            parts=(
                Part(
                    Resource(
                        type="vault_ldap_auth_backend_user",
                        path=_USER,
                        mount="backend",
                        mount_default="ldap",
                        name="username",
                        version=1,
                        fields={
                            "groups": Field(COMMAS, default=[], computed=True),
                            "policies": Field(SET, names="policy", default=[], computed=True),
                        },
                        writes=(Write(_USER),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "ldap",
        "description": "the directory of the house",
        "token_type": "default-service",
        "config": {
            "url": "ldaps://ldap.example.org",
            "certificate": EXAMPLE_CA,
            "binddn": "cn=vault,dc=example,dc=org",
            "bindpass": "env:LDAP_BINDPASS",
            "userdn": "ou=people,dc=example,dc=org",
            "userattr": "uid",
            "userfilter": "(&(objectClass=inetOrgPerson)({{.UserAttr}}={{.Username}}))",
            "groupdn": "ou=groups,dc=example,dc=org",
            "groupattr": "cn",
            "groupfilter": "(member={{.UserDN}})",
            "username_as_alias": True,
            "request_timeout": "30s",
            "token_policies": ["payments-read"],
            "token_ttl": "1h",
            "token_max_ttl": "8h",
        },
        "groups": {"payment engineers": {"policies": ["payments-read"]}},
        "users": {"ada@example.org": {"policies": ["payments-read"], "groups": ["payment engineers", "on-call"]}},
    },
)
