"""Quotas: how many requests a server takes, and how many leases it keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, NUMBER, RATE, SECONDS, SET, TEXT, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

_VAULT_ENTERPRISE = {
    "openbao": "OpenBao has no such setting; leave it out",
    "vault": "it needs Vault Enterprise; leave it out, or write `edition: enterprise` in the cluster",
}
_NO_LEASE_COUNTS = {
    "openbao": "OpenBao counts no leases; limit the requests with rate_limits",
    "vault": "lease counts need Vault Enterprise; limit the requests with rate_limits",
}
_EXEMPT = [
    "sys/generate-recovery-token/attempt",
    "sys/generate-recovery-token/update",
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/health",
    "sys/seal-status",
    "sys/unseal",
]


def _place(value: Json) -> str:
    """A path as the server echoes it: a mount's with a slash at its end.

    >>> _place("apps"), _place("auth/userpass"), _place("auth/userpass/login"), _place("")
    ('apps/', 'auth/userpass/', 'auth/userpass/login', '')
    """
    bare = (value or "").rstrip("/")
    is_mount = bare.count("/") == bare.startswith("auth/")
    return f"{bare}/" if bare and is_mount else value or ""


_PATH = replace(TEXT, expected="a path such as auth/userpass/", canon=lambda v: (v or "").rstrip("/"), render=_place)

RATE_LIMIT = Resource(
    type="vault_quota_rate_limit",
    path="sys/quotas/rate-limit/{name}",
    name="name",
    id="{name}",
    fields={
        "path": Field(_PATH),
        "rate": Field(RATE, required=True),
        "interval": Field(SECONDS, default=1, computed=True),
        "block_interval": Field(SECONDS),
        "role": Field(TEXT),
        "inheritable": Field(FLAG, unsaid=True),
        "group_by": Field(
            choice("ip", "none", "entity_then_ip", "entity_then_none"), computed=True, absent=_VAULT_ENTERPRISE
        ),
        "secondary_rate": Field(RATE, computed=True, absent=_VAULT_ENTERPRISE),
    },
    writes=(Write("sys/quotas/rate-limit/{name}"),),
    after=("vault_namespace",),
    after_mounts=True,
)

LEASE_COUNT = Resource(
    type="vault_quota_lease_count",
    path="sys/quotas/lease-count/{name}",
    name="name",
    id="{name}",
    fields={
        "path": Field(_PATH),
        "max_leases": Field(NUMBER, required=True),
        "role": Field(TEXT),
        "inheritable": Field(FLAG, unsaid=True),
    },
    writes=(Write("sys/quotas/lease-count/{name}"),),
    after=("vault_namespace",),
    after_mounts=True,
)

CONFIG = Resource(
    type="vault_quota_config",
    path="sys/quotas/config",
    has_id=False,
    fields={
        "rate_limit_exempt_paths": Field(SET, default=_EXEMPT, computed=True),
        "absolute_rate_limit_exempt_paths": Field(SET, computed=True, absent=_VAULT_ENTERPRISE),
        "enable_rate_limit_audit_logging": Field(FLAG, default=False, computed=True),
        "enable_rate_limit_response_headers": Field(FLAG, default=False, computed=True),
    },
    writes=(Write("sys/quotas/config"),),
    delete=Write(
        "sys/quotas/config",
        data={
            "rate_limit_exempt_paths": _EXEMPT,
            "enable_rate_limit_audit_logging": False,
            "enable_rate_limit_response_headers": False,
        },
    ),
    adopt="create",
)

QUOTAS = Kind(
    name="quotas",
    family="system",
    root=True,
    summary="How many requests the server takes, and how many leases it keeps.",
    objects=(
        Object(key="rate_limits", list="sys/quotas/rate-limit", required=("rate",), parts=(Part(RATE_LIMIT),)),
        Object(
            key="lease_counts",
            list="sys/quotas/lease-count",
            required=("max_leases",),
            absent=_NO_LEASE_COUNTS,
            parts=(Part(LEASE_COUNT),),
        ),
        Object(key="config", single=True, parts=(Part(CONFIG),)),
    ),
    example={
        "rate_limits": {"tools": {"path": "sys/tools/random", "rate": 50.5, "interval": "1m", "block_interval": "5m"}},
        "lease_counts": {"everything": {"max_leases": 100000}},
        "config": {
            "rate_limit_exempt_paths": ["sys/health", "sys/seal-status", "sys/unseal"],
            "enable_rate_limit_audit_logging": True,
            "enable_rate_limit_response_headers": True,
        },
    },
)
