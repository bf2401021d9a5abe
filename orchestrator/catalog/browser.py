"""What browsers may do: other sites' scripts (`cors`), and the server's own pages (`ui`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.model import Field, Found, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, MAP, SET, TEXT, Shape, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

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

_MESSAGES_NEED = {
    "openbao": "OpenBao's pages show no messages; leave them out",
    "vault": "messages need Vault Enterprise; leave them out, or write `edition: enterprise` in the cluster",
}
_LOGIN_NEEDS = {
    "openbao": "OpenBao's login page has no default; leave it out",
    "vault": "a default needs Vault Enterprise; leave it out, or write `edition: enterprise` in the cluster",
    "vault<1.20": "it needs Vault 1.20 or newer; leave it out",
}


def _link(value: Json) -> dict[str, str]:
    """A link as the server holds it, by its title, also out of Terraform's block.

    >>> _link([{"title": "Status", "href": "https://status.example.org"}])
    {'Status': 'https://status.example.org'}
    """
    return dict(value or {}) if not isinstance(value, list) else {one["title"]: one["href"] for one in value}


_LINK = Shape(
    None,
    {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}},
    "a map from the link's title to its address",
    _link,
    lambda value: [{"title": title, "href": href} for title, href in _link(value).items()],
    {},
    _link,
    {"title": ("string", True), "href": ("string", True)},
    most=1,
)

MESSAGE = Resource(
    type="vault_config_ui_custom_message",
    path="sys/config/ui/custom-messages/{id}",
    id="{id}",
    takes_id=False,
    fields={
        "title": Field(TEXT, required=True),
        "message": Field(replace(TEXT, expected="a text in base64"), "message_base64", required=True),
        "type": Field(choice("banner", "modal"), default="banner"),
        "authenticated": Field(FLAG, default=True),
        "start_time": Field(TEXT, required=True),
        "end_time": Field(TEXT),
        "link": Field(_LINK),
        "options": Field(MAP),
    },
    writes=(
        Write("sys/config/ui/custom-messages", on=("create",), once=True),
        Write("sys/config/ui/custom-messages/{id}", on=("update",)),
    ),
    found=Found("sys/config/ui/custom-messages/", "key_info", {"title": "{title}"}),
    exists="sys/config/ui/custom-messages/",
    adopt="leave",
)

DEFAULT_LOGIN = Resource(
    type="vault_config_ui_default_auth",
    path="sys/config/ui/login/default-auth/{name}",
    name="name",
    id="{name}",
    takes_id=False,
    fields={
        "default_auth_type": Field(TEXT, required=True),
        "backup_auth_types": Field(LIST),
        "namespace": Field(TEXT, "namespace_path"),
        "disable_inheritance": Field(FLAG),
    },
    writes=(Write("sys/config/ui/login/default-auth/{name}"),),
    adopt="create",
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
        Object(
            key="messages",
            required=("title", "message", "start_time"),
            absent=_MESSAGES_NEED,
            parts=(Part(MESSAGE),),
        ),
        Object(
            key="default_auth",
            list="sys/config/ui/login/default-auth",
            required=("default_auth_type",),
            absent=_LOGIN_NEEDS,
            parts=(Part(DEFAULT_LOGIN),),
        ),
    ),
    example={
        "headers": {"X-Custom-Header": {"values": ["internal", "tier-1"]}},
        "messages": {
            "maintenance": {
                "title": "Maintenance on Sunday",
                "message": "VGhlIHNlcnZlciByZXN0YXJ0cyBhdCAwMjowMCBVVEMu",
                "start_time": "2026-01-01T00:00:00Z",
                "link": {"Status": "https://status.example.org"},
            }
        },
        "default_auth": {"people": {"default_auth_type": "oidc", "backup_auth_types": ["userpass"]}},
    },
)
