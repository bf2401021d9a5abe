"""What browsers may do: other sites' scripts (`cors`), and the server's own pages (`ui`)."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model import FLAG, SET, Field, Json, Kind, Limit, Object, Part, Resource, Write

_SERVERS_OWN = frozenset(
    {
        "Authorization",
        "Content-Type",
        "X-Requested-With",
        "X-Vault-AWS-IAM-Server-ID",
        "X-Vault-MFA",
        "X-Vault-No-Request-Forwarding",
        "X-Vault-Policy-Override",
        "X-Vault-Token",
        "X-Vault-Wrap-Format",
        "X-Vault-Wrap-TTL",
    }
)
_NAMED = Limit("any-origin", lambda origins: "*" not in origins, "every web page may call the server from a browser")


def _headers(value: Json) -> list[str]:
    """The headers that somebody allowed, without those that the server always allows.

    >>> _headers(["X-Vault-Token", "X-Custom"])
    ['X-Custom']
    """
    return sorted(set(value or ()) - _SERVERS_OWN)


CORS = Kind(
    name="cors",
    family="system",
    root=True,
    summary="Which other sites' scripts may call the server from a browser.",
    objects=(
        Object(
            key="cors",
            single=True,
            required=("allowed_origins",),
            parts=(
                Part(
                    Resource(
                        type="vault_sys_config_cors",
                        path="sys/config/cors",
                        takes_id=False,
                        has_namespace=False,
                        fields={
                            "allowed_origins": Field(SET, required=True, limit=_NAMED),
                            "allowed_headers": Field(replace(SET, canon=_headers, render=_headers)),
                            "enabled": Field(FLAG, output=True),
                        },
                        writes=(Write("sys/config/cors"),),
                        flag="enabled",
                    )
                ),
            ),
        ),
    ),
    example={"allowed_origins": ["https://apps.example.org"], "allowed_headers": ["X-Correlation-Id"]},
)

UI = Kind(
    name="ui",
    family="system",
    summary="The server's own pages.",
    objects=(
        Object(
            key="headers",
            list="sys/config/ui/headers",
            header=True,
            root=True,
            required=("values",),
            parts=(
                Part(
                    Resource(
                        type="vault_config_ui_header",
                        path="sys/config/ui/headers/{name}",
                        name="name",
                        import_id="{name}",
                        has_id=False,
                        has_namespace=False,
                        fields={"values": Field(SET, required=True)},
                        writes=(Write("sys/config/ui/headers/{name}"),),
                        reads=("sys/config/ui/headers/{name}?multivalue=true",),
                    )
                ),
            ),
        ),
    ),
    example={"headers": {"X-Custom-Header": {"values": ["internal", "tier-1"]}}},
)
