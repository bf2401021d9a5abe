"""KV: secrets at a path, with versions (`kv-v2`) or without (`kv-v1`)."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalog.shared import SECRETS_MOUNT
from orchestrator.model import Field, Kind, Leak, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, NUMBER, SECONDS

_NO_CHECK = "version 1 cannot refuse to write over what is there; write `type: kv-v2`"

KV_V2 = Kind(
    name="kv-v2",
    family="secrets",
    inward=True,
    canary="orchestrator.live.canaries.kv:versioned",
    engine="kv",
    options={"version": "2"},
    summary="Secrets at a path, with versions.",
    mount=SECRETS_MOUNT,
    leaks={
        "kv": Leak(
            "orchestrator.incident.kinds.kv:scope",
            ("secret version", "secret"),
            "orchestrator.incident.kinds.kv:pin",
            (Write("{mount}/metadata/*", method="GET"), Write("{mount}/destroy/*")),
        )
    },
    objects=(
        Object(
            key="settings",
            single=True,
            always=True,
            parts=(
                Part(
                    Resource(
                        type="vault_kv_secret_backend_v2",
                        path="{mount}/config",
                        mount="mount",
                        fields={
                            "max_versions": Field(NUMBER, default=0, computed=True),
                            "cas_required": Field(FLAG, default=False, computed=True),
                            "delete_version_after": Field(SECONDS, default=0),
                        },
                        writes=(Write("{mount}/config"),),
                        adopt="create",
                        kept=True,
                    )
                ),
            ),
        ),
        Object(key="seeds", seed=True),
    ),
    example={
        "type": "kv-v2",
        "description": "what applications read",
        "max_lease_ttl": "24h",
        "settings": {"max_versions": 5, "cas_required": True, "delete_version_after": "30d"},
        "seeds": {"payments/db": {"password": {"generate": 32}}},
    },
)

KV_V1 = replace(
    KV_V2,
    name="kv-v1",
    canary="orchestrator.live.canaries.kv:plain",
    options={"version": "1"},
    summary="Secrets at a path, without versions.",
    objects=(Object(key="seeds", seed=True, absent={"openbao": _NO_CHECK, "vault>=0": _NO_CHECK}),),
    example={"type": "kv-v1", "description": "legacy values"},
)
