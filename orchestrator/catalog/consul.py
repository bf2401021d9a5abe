"""Consul: ACL tokens, made and taken back by the server."""

from __future__ import annotations

from orchestrator.catalog.shared import NOTHING, credential, keys, leases, secrets_engine
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, PEM, SECONDS, SET, TEXT, choice

_ACCESS = "{path}/config/access"
_ROLE = "{backend}/roles/{name}"
_ENCRYPTED = Limit(
    "consul-clear-text", lambda value: value != "http", "the management token would travel in clear text"
)
_CONFIG = {
    "config.address": Field(TEXT, required=True),
    "config.scheme": Field(choice("https", "http"), default="https", official="http", limit=_ENCRYPTED),
    **credential("token", "config.", resent=True),
    "config.ca_cert": Field(PEM, readable=False),
    "config.client_cert": Field(PEM, readable=False, sensitive=True),
    **credential("client_key", "config.", resent=True),
}
_BOOTSTRAP = {"bootstrap": Field(FLAG, yaml=False, readable=False)}

CONSUL = Kind(
    name="consul",
    family="secrets",
    summary="ACL tokens of Consul, made and taken back by the server.",
    mount=secrets_engine(
        "vault_consul_secret_backend",
        "consul",
        {**_CONFIG, **_BOOTSTRAP},
        (Write(_ACCESS, keys(_CONFIG)),),
        filled=False,
        gone=("access credentials for the backend itself haven't been configured",),
    ),
    required=("config", "config.address", "config.token"),
    absent={
        "openbao": "OpenBao has no consul secrets engine; use HashiCorp Vault, or register a plugin with `plugins`"
    },
    objects=(
        Object(
            key="roles",
            list="{mount}/roles",
            gives=(leases("{mount}/creds/{name}", "Consul token"),),
            shut={"consul_policies": [NOTHING], "consul_roles": [], "service_identities": [], "node_identities": []},
            parts=(
                Part(
                    Resource(
                        type="vault_consul_secret_backend_role",
                        path=_ROLE,
                        leases="{backend}/creds/{name}",
                        mount="backend",
                        mount_default="consul",
                        name="name",
                        fields={
                            "consul_policies": Field(SET),
                            "consul_roles": Field(SET),
                            "service_identities": Field(SET),
                            "node_identities": Field(SET),
                            "policies": Field(LIST, yaml=False, readable=False),
                            "consul_namespace": Field(TEXT, default="", computed=True),
                            "partition": Field(TEXT, default="", computed=True),
                            "local": Field(FLAG),
                            "ttl": Field(SECONDS),
                            "max_ttl": Field(SECONDS),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "consul",
        "description": "tokens for Consul",
        "default_lease_ttl": "30m",
        "config": {"address": "consul.example.org:8501", "scheme": "https", "token": "env:CONSUL_HTTP_TOKEN"},
        "roles": {
            "payments": {
                "consul_policies": ["payments-read"],
                "service_identities": ["payments:eu-west"],
                "local": True,
                "ttl": "30m",
                "max_ttl": "8h",
            }
        },
    },
)
