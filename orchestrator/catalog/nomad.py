"""Nomad: ACL tokens, made and taken back by the server."""

from __future__ import annotations

from orchestrator.catalog.shared import NOTHING, credential, keys, leases, secrets_engine
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, NUMBER, PEM, SECONDS, TEXT, choice

_ROLE = "{backend}/role/{role}"
_CLIENT = Limit("nomad-management", lambda value: value != "management", "the tokens could do anything in Nomad")
_ACCESS = {
    "config.address": Field(TEXT),
    **credential("token", "config."),
    "config.ca_cert": Field(PEM),
    "config.client_cert": Field(PEM, sensitive=True),
    **credential("client_key", "config."),
    "config.max_token_name_length": Field(NUMBER, default=0, computed=True),
}
_LEASE = {
    "config.ttl": Field(SECONDS, default=0, computed=True),
    "config.max_ttl": Field(SECONDS, default=0, computed=True),
}

NOMAD = Kind(
    name="nomad",
    family="secrets",
    summary="ACL tokens of Nomad, made and taken back by the server.",
    mount=secrets_engine(
        "vault_nomad_secret_backend",
        "nomad",
        {**_ACCESS, **_LEASE},
        (Write("{backend}/config/access", keys(_ACCESS)), Write("{backend}/config/lease", keys(_LEASE))),
        "backend",
    ),
    required=("config", "config.address", "config.token"),
    absent={"openbao": "OpenBao has no nomad secrets engine; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="roles",
            list="{mount}/role",
            gives=(leases("{mount}/creds/{name}", "Nomad token"),),
            shut={"type": "client", "policies": [NOTHING]},
            parts=(
                Part(
                    Resource(
                        type="vault_nomad_secret_role",
                        path=_ROLE,
                        leases="{backend}/creds/{role}",
                        mount="backend",
                        name="role",
                        fields={
                            "type": Field(
                                choice("client", "management"), default="client", computed=True, limit=_CLIENT
                            ),
                            "policies": Field(LIST, default=[], computed=True),
                            "global": Field(FLAG, default=False, computed=True),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "nomad",
        "description": "tokens for Nomad",
        "default_lease_ttl": "30m",
        "config": {
            "address": "https://nomad.example.org:4646",
            "token": "env:NOMAD_TOKEN",
            "max_token_name_length": 64,
            "ttl": "30m",
            "max_ttl": "8h",
        },
        "roles": {"payments": {"policies": ["payments-read"], "global": True}},
    },
)
