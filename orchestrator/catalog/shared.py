"""What several kinds share: the mounts themselves, and the settings of the tokens that a login gives."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model import (
    DURATION,
    FLAG,
    LIST,
    MAP,
    NUMBER,
    SECONDS,
    SET,
    TEXT,
    Field,
    Json,
    Limit,
    Resource,
    Shape,
    Write,
    choice,
    seconds,
)

EXAMPLE_CA = """\
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUbO3abyQL3Q/IO5Q0JCIYdHyG2sQwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPRXhhbXBsZSBSb290IENBMCAXDTI2MTEyMTEzMTg1MFoYDzIx
MjYxMDI4MTMxODUwWjAaMRgwFgYDVQQDDA9FeGFtcGxlIFJvb3QgQ0EwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAASozRXRQXklJxDBSjkgwCA+3mYp49Sa9tAF6NKW
BjtiC5kzwu9p42RSQ8H7YOuB4I3/mD+N8eBa+TM5N6JBX1Cro2MwYTAdBgNVHQ4E
FgQUToysgw7nTIO4r2J5C1YeFQGS7dQwHwYDVR0jBBgwFoAUToysgw7nTIO4r2J5
C1YeFQGS7dQwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZI
zj0EAwIDSQAwRgIhAPAlBYljxvia67lo0VzbezJbQMiA3SH867PFSzFniJuHAiEA
gGmj2UhoUlARS0u9aETnawd11awNkyJfO3gPjPjTJvo=
-----END CERTIFICATE-----
"""
NO_ALIAS_METADATA = {"openbao": "OpenBao has no alias metadata; leave it out"}
VISIBILITY = replace(  # the official provider never sends an empty one, so that "hidden" is how it goes back
    choice("", "hidden", "unauth"),
    canon=lambda value: value or "hidden",
    render=lambda value: value or "hidden",
    zero="hidden",
)
SORTS = ("service", "batch", "default-service", "default-batch")
SORT = choice(*SORTS)
TOKEN_TYPE = choice("default", *SORTS)

DAY = 86400
SHORT_LIVED = Limit("long-lived-token", lambda value: seconds(value) <= DAY, "a stolen token serves for days")
AFTER_POLICIES = ("vault_policy",)  # a login that names a policy before it stands would give less than declared
TOKEN = {
    "token_policies": Field(SET, names="policy"),
    "token_ttl": Field(SECONDS, limit=SHORT_LIVED),
    "token_max_ttl": Field(SECONDS),
    "token_period": Field(SECONDS),
    "token_explicit_max_ttl": Field(SECONDS),
    "token_num_uses": Field(NUMBER),
    "token_bound_cidrs": Field(SET),
    "token_no_default_policy": Field(FLAG),
    "token_type": Field(TOKEN_TYPE, default="default"),
    "alias_metadata": Field(MAP, absent=NO_ALIAS_METADATA),
}

_TTL = replace(SECONDS, send=lambda value: f"{value or 0}s")
_NOT_HERE = {"openbao": "OpenBao has no such setting; leave it out"}

SECRETS_MOUNT = Resource(
    type="vault_mount",
    path="sys/mounts/{path}",
    mount="path",
    id="{path}",
    leases="{path}",
    fields={
        "type": Field(TEXT, required=True, replace=True, yaml=False),
        "options": Field(MAP, yaml=False),
        "description": Field(TEXT),
        "default_lease_ttl": Field(_TTL, "default_lease_ttl_seconds", "config.default_lease_ttl", 0, computed=True),
        "max_lease_ttl": Field(_TTL, "max_lease_ttl_seconds", "config.max_lease_ttl", 0, computed=True),
        "listing_visibility": Field(VISIBILITY, api="config.listing_visibility"),
        "audit_non_hmac_request_keys": Field(LIST, api="config.audit_non_hmac_request_keys", default=[], computed=True),
        "audit_non_hmac_response_keys": Field(
            LIST, api="config.audit_non_hmac_response_keys", default=[], computed=True
        ),
        "passthrough_request_headers": Field(LIST, api="config.passthrough_request_headers"),
        "allowed_response_headers": Field(LIST, api="config.allowed_response_headers"),
        "delegated_auth_accessors": Field(LIST, api="config.delegated_auth_accessors", absent=_NOT_HERE),
        "identity_token_key": Field(TEXT, api="config.identity_token_key", absent=_NOT_HERE),
        "allowed_managed_keys": Field(SET, api="config.allowed_managed_keys", absent=_NOT_HERE),
        "plugin_version": Field(TEXT),
        "force_no_cache": Field(FLAG, api="config.force_no_cache", computed=True, replace=True),
        "local": Field(FLAG, replace=True),
        "seal_wrap": Field(FLAG, computed=True, replace=True),
        "external_entropy_access": Field(FLAG, replace=True),
        "accessor": Field(TEXT, output=True),
    },
    writes=(
        Write(
            "sys/mounts/{path}",
            ("type", "description", "local", "seal_wrap", "external_entropy_access", "options", "plugin_version"),
            on=("create",),
        ),
        Write(
            "sys/mounts/{path}/tune",
            (
                "default_lease_ttl",
                "max_lease_ttl",
                "listing_visibility",
                "audit_non_hmac_request_keys",
                "audit_non_hmac_response_keys",
                "passthrough_request_headers",
                "allowed_response_headers",
                "delegated_auth_accessors",
                "identity_token_key",
                "allowed_managed_keys",
            ),
        ),
        Write("sys/mounts/{path}/tune", ("description", "options", "plugin_version"), on=("update",)),
    ),
    gone=("No secret engine mount at", "no handler for route"),
)

_TUNED_LISTS = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "allowed_response_headers",
    "passthrough_request_headers",
)


def _tuned(shape: Shape, name: str, default: Json = None) -> Field:
    """A setting of the computed group `tune`, of which Terraform keeps what the configuration no longer says."""
    return Field(shape, f"tune.{name}", f"config.{name}", default)


AUTH_FIELDS = {
    "description": Field(TEXT),
    "default_lease_ttl": _tuned(DURATION, "default_lease_ttl", 0),
    "max_lease_ttl": _tuned(DURATION, "max_lease_ttl", 0),
    "listing_visibility": _tuned(VISIBILITY, "listing_visibility", "hidden"),
    "token_type": _tuned(replace(SORT, zero="default-service"), "token_type", "default-service"),
    **{name: _tuned(LIST, name) for name in _TUNED_LISTS},
    "local": Field(FLAG, replace=True),
    "accessor": Field(TEXT, output=True),
    "disable_remount": Field(FLAG, yaml=False, readable=False),
}
AUTH_WRITES = (
    Write("sys/auth/{path}", ("type", "description", "local"), on=("create",)),
    Write(
        "sys/mounts/auth/{path}/tune",
        (
            "default_lease_ttl",
            "max_lease_ttl",
            "listing_visibility",
            "config.token_type",
            "identity_token_key",
            *_TUNED_LISTS,
        ),
    ),
    Write("sys/mounts/auth/{path}/tune", ("description",), on=("update",)),
)
AUTH_GONE = ("No auth engine at", "No secret engine mount at", "no handler for route", "cannot fetch sysview for path")

AUTH_MOUNT = Resource(
    type="vault_auth_backend",
    path="sys/mounts/auth/{path}",
    mount="path",
    mount_default="{type}",
    id="{path}",
    version=1,
    fields={
        "type": Field(TEXT, required=True, replace=True, yaml=False),
        "identity_token_key": Field(TEXT, api="config.identity_token_key", absent=_NOT_HERE),
        **AUTH_FIELDS,
    },
    writes=AUTH_WRITES,
    delete=Write("sys/auth/{path}", method="DELETE"),
    gone=AUTH_GONE,
    groups={"tune": "attribute"},
)
