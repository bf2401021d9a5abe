"""Raft: what the storage of a cluster does by itself about its servers."""

from __future__ import annotations

from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, GO_DURATION, NUMBER

_PATH = "sys/storage/raft/autopilot/configuration"
_DEFAULTS = {
    "cleanup_dead_servers": False,
    "dead_server_last_contact_threshold": "24h0m0s",
    "last_contact_threshold": "10s",
    "max_trailing_logs": 1000,
    "min_quorum": 3,  # a server never takes it back to 0
    "server_stabilization_time": "10s",
}
_ENTERPRISE = {
    "openbao": "OpenBao has no automated upgrades; leave it out",
    "vault": "automated upgrades need Vault Enterprise; leave it out, or write `edition: enterprise` in the cluster",
}

RAFT = Kind(
    name="raft",
    family="system",
    root=True,
    summary="What the storage of a cluster does by itself about its servers.",
    objects=(
        Object(
            key="autopilot",
            single=True,
            parts=(
                Part(
                    Resource(
                        type="vault_raft_autopilot",
                        path=_PATH,
                        fields={
                            "cleanup_dead_servers": Field(FLAG, default=False),
                            "dead_server_last_contact_threshold": Field(GO_DURATION, default="24h"),
                            "last_contact_threshold": Field(GO_DURATION, default="10s"),
                            "max_trailing_logs": Field(NUMBER, default=1000),
                            "min_quorum": Field(NUMBER, default=3),
                            "server_stabilization_time": Field(GO_DURATION, default="10s"),
                            "disable_upgrade_migration": Field(FLAG, absent=_ENTERPRISE),
                        },
                        writes=(Write(_PATH),),
                        delete=Write(_PATH, data=_DEFAULTS),
                        adopt="create",
                    )
                ),
            ),
        ),
    ),
    example={
        "autopilot": {
            "cleanup_dead_servers": True,
            "dead_server_last_contact_threshold": "36h",
            "last_contact_threshold": "15s",
            "max_trailing_logs": 500,
            "min_quorum": 3,
            "server_stabilization_time": "90s",
        }
    },
)
