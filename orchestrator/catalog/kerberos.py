"""Kerberos: people log in with the ticket of their domain."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.ldap import FILLED_IN, NO_DIRECTORY, PLAIN
from orchestrator.catalog.shared import (
    AFTER_POLICIES,
    AUTH_MOUNT,
    EXAMPLE_CA,
    SHUT,
    SHUT_POLICIES,
    TOKEN,
    members_tokens,
)
from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import CASELESS, FLAG, SET, SIGNED, TEXT

_CONFIG = "auth/{mount}/config"
_LDAP = "auth/{mount}/config/ldap"
_GROUP = "auth/{mount}/groups/{name}"

CONFIG = Resource(
    type="vault_kerberos_auth_backend_config",
    path=_CONFIG,
    mount="mount",
    has_id=False,
    fields={
        "keytab": Field(TEXT, "keytab_wo", secret=True, sensitive=True, required=True, resent=True),
        "service_account": Field(TEXT, required=True),
        "add_group_aliases": Field(FLAG),
        "remove_instance_name": Field(FLAG),
    },
    writes=(Write(_CONFIG),),
    kept=True,
)

DIRECTORY = Resource(
    type="vault_kerberos_auth_backend_ldap_config",
    path=_LDAP,
    mount="mount",
    has_id=False,
    fields={
        "url": Field(CASELESS, default="ldap://127.0.0.1", computed=True),
        "bindpass": Field(TEXT, "bindpass_wo", secret=True, sensitive=True),
        "client_tls_cert": Field(TEXT, "client_tls_cert_wo", secret=True, sensitive=True),
        "client_tls_key": Field(TEXT, "client_tls_key_wo", secret=True, sensitive=True),
        **PLAIN,
        "certificate": replace(PLAIN["certificate"], sensitive=True),
        **FILLED_IN,
        "max_page_size": Field(SIGNED, default=-1),
        **TOKEN,
        "token_type": replace(TOKEN["token_type"], computed=True),
    },
    writes=(Write(_LDAP),),
    kept=True,
    after=AFTER_POLICIES,
)

KERBEROS = Kind(
    name="kerberos",
    family="auth",
    summary="People log in with the ticket of their domain.",
    mount=AUTH_MOUNT,
    required=("config", "ldap"),
    absent=NO_DIRECTORY,
    shut=Write(_LDAP, data=SHUT),
    objects=(
        Object(key="config", single=True, required=("keytab", "service_account"), parts=(Part(CONFIG),)),
        Object(key="ldap", single=True, required=("url",), parts=(Part(DIRECTORY),)),
        Object(
            key="groups",
            list="auth/{mount}/groups",
            gives=(members_tokens(),),
            shut={"policies": SHUT_POLICIES},
            merges=True,
            also=" @",
            parts=(
                Part(
                    Resource(
                        type="vault_kerberos_auth_backend_group",
                        path=_GROUP,
                        mount="mount",
                        name="name",
                        has_id=False,
                        fields={"policies": Field(SET, names="policy")},
                        writes=(Write(_GROUP, always=True),),
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "kerberos",
        "passthrough_request_headers": ["Authorization"],
        "allowed_response_headers": ["www-authenticate"],
        "config": {
            "keytab": "env:KERBEROS_KEYTAB",
            "service_account": "vault_svc",
            "add_group_aliases": True,
        },
        "ldap": {
            "url": "ldaps://ldap.example.org",
            "certificate": EXAMPLE_CA,
            "binddn": "cn=vault,dc=example,dc=org",
            "bindpass": "env:LDAP_BINDPASS",
            "userdn": "ou=people,dc=example,dc=org",
            "userattr": "sAMAccountName",
            "groupdn": "ou=groups,dc=example,dc=org",
            "groupattr": "sAMAccountName",
            "upndomain": "EXAMPLE.ORG",
            "token_policies": ["payments-read"],
            "token_ttl": "1h",
        },
        "groups": {"Payment Engineers": {"policies": ["payments-read"]}},
    },
)
