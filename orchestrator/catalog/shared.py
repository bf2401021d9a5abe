"""What several kinds share: the mounts themselves, and the settings of the tokens that a login gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
    Resource,
    Write,
    choice,
)

if TYPE_CHECKING:
    from orchestrator.model import Fields

NO_ALIAS_METADATA = {"openbao": "OpenBao has no alias metadata; leave it out"}
VISIBILITY = choice("", "hidden", "unauth")
TOKEN_TYPE = choice("default", "service", "batch", "default-service", "default-batch")

AFTER_POLICIES = ("vault_policy",)  # a login that names a policy before it stands would give less than declared
TOKEN = {
    "token_policies": Field(SET, names="policy"),
    "token_ttl": Field(SECONDS),
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


def keys(fields: Fields) -> tuple[str, ...]:
    """What a request calls these settings."""
    return tuple(one.sent or (one.api or name).rpartition(".")[2] for name, one in fields.items())


def secrets_engine(
    type_: str,
    engine: str,
    config: Fields,
    writes: tuple[Write, ...],
    mount: str = "path",
    *,
    filled: bool = True,
    gone: tuple[str, ...] = (),
) -> Resource:
    """A mount that one resource makes and configures; what it gives out ends after an hour unless more is said."""
    here = f"{{{mount}}}"
    fields = {name: one for name, one in SECRETS_MOUNT.fields.items() if name != "type"}
    lease, longest = fields["default_lease_ttl"], fields["max_lease_ttl"]
    made, *tuned = (replace(write, path=write.path.replace("{path}", here)) for write in SECRETS_MOUNT.writes)
    return replace(
        SECRETS_MOUNT,
        type=type_,
        path=f"sys/mounts/{here}",
        mount=mount,
        mount_default=engine,
        id=here,
        leases=here,
        version=1,
        fields={
            **fields,
            "default_lease_ttl": replace(lease, default=3600, official=0, computed=filled),
            "max_lease_ttl": replace(longest, computed=filled),
            "disable_remount": Field(FLAG, yaml=False, readable=False),
            **config,
        },
        reads=(f"sys/mounts/{here}", *(write.path for write in writes)),
        writes=(replace(made, always=True, data={"type": engine}), *tuned, *writes),
        gone=(*SECRETS_MOUNT.gone, *gone),
    )


_TUNE = ("audit_non_hmac_request_keys", "audit_non_hmac_response_keys", "allowed_response_headers")


def _tuned(shape: object, name: str) -> Field:
    return Field(shape, f"tune.{name}", f"config.{name}")  # type: ignore[arg-type]


AUTH_FIELDS = {
    "description": Field(TEXT),
    "default_lease_ttl": _tuned(DURATION, "default_lease_ttl"),
    "max_lease_ttl": _tuned(DURATION, "max_lease_ttl"),
    "listing_visibility": _tuned(VISIBILITY, "listing_visibility"),
    "token_type": _tuned(replace(TOKEN_TYPE, zero="default-service"), "token_type"),
    "passthrough_request_headers": _tuned(LIST, "passthrough_request_headers"),
    **{name: _tuned(LIST, name) for name in _TUNE},
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
            "token_type",
            "passthrough_request_headers",
            *_TUNE,
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
        "identity_token_key": Field(TEXT, yaml=False, readable=False),
        **AUTH_FIELDS,
    },
    writes=AUTH_WRITES,
    delete=Write("sys/auth/{path}", method="DELETE"),
    gone=AUTH_GONE,
    groups={"tune": "attribute"},
)
