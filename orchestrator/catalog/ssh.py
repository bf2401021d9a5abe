"""SSH: certificates signed for people and hosts, and one-time passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.catalog.shared import NOWHERE, SECRETS_MOUNT, leases
from orchestrator.model import Field, Gives, Kind, Leak, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, LIST, MAP, NUMBER, SECONDS_TEXT, TEXT, Shape, choice, seconds

if TYPE_CHECKING:
    from orchestrator.documents import Json

_ROLE = "{backend}/roles/{name}"
_CA = "{backend}/config/ca"
_LONGEST = "8h"
_OF_CA = {"key_type": "ca"}

_CERTIFICATE = Gives(
    "SSH certificate",
    unkept=_OF_CA,
    lasts=("max_ttl", "ttl"),
    instead="name those that you know by --ssh-key, to have them in a KRL",
)
_NO_HOST = {  # it must sign something, so what is left is hosts, and none of them
    "allow_user_certificates": False,
    "allow_host_certificates": True,
    "allow_bare_domains": False,
    "allow_subdomains": False,
    "allow_empty_principals": False,
}

_SHORT = Limit(
    "ssh-long-lived",
    lambda value: 0 < seconds(value) <= seconds(_LONGEST),
    f"a certificate cannot be called back, only waited out; write {_LONGEST} or less, a host's excepted",
)
_SOMEBODY = Limit(
    "ssh-any-user",
    lambda value: "*" not in [name.strip() for name in value.split(",")],
    "whoever may use the role could log in as anybody, root too; list the users",
)
_NAMED = Limit(
    "ssh-no-principal",
    lambda value: not value,
    "a certificate without principals is good for every account of a host that asks for none; leave it false",
)
_SHA2 = Limit("ssh-sha1", lambda value: value != "ssh-rsa", "it signs with SHA-1, which is broken; write rsa-sha2-512")


def _networks(value: Json) -> list[str]:
    """Networks out of a list, or of the text that the server answers.

    >>> _networks("10.1.0.0/16,10.0.0.0/16"), _networks(None)
    (['10.0.0.0/16', '10.1.0.0/16'], [])
    """
    return sorted(value.split(",") if isinstance(value, str) and value else value or [])


def _lengths(value: Json) -> dict[str, list[int]]:
    """Allowed key lengths by key type, from the API's map or Terraform's blocks.

    >>> _lengths([{"type": "rsa", "lengths": [4096, 2048]}])
    {'rsa': [2048, 4096]}
    """
    pairs = value.items() if isinstance(value, dict) else [(item["type"], item["lengths"]) for item in value or []]
    return {name: sorted(item if isinstance(item, list) else [item]) for name, item in sorted(pairs)}


def _length_blocks(value: Json) -> list[dict[str, Json]]:
    return [{"type": name, "lengths": item} for name, item in _lengths(value).items()]


_KEY_LENGTHS = Shape(
    None,
    {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    },
    "a map from key type to a list of lengths",
    _lengths,
    _length_blocks,
    {},
    _lengths,
    {"type": ("string", True), "lengths": (["list", "number"], True)},
)

SSH = Kind(
    name="ssh",
    family="secrets",
    inward=True,
    canary="orchestrator.live.canaries.ssh:trials",
    summary="Certificates signed for people and hosts, and one-time passwords.",
    mount=SECRETS_MOUNT,
    leaks={
        "ssh-key": Leak(
            "orchestrator.incident.kinds.ssh:scope",
            ("SSH certificate", "SSH key", "SSH CA"),
            needs=(
                Write("{mount}/issuers", method="LIST"),
                *(Write(f"{{mount}}/{path}", method="GET") for path in ("issuer/{id}", "config/ca")),
            ),
        )
    },
    objects=(
        Object(
            key="ca",
            single=True,
            parts=(
                Part(
                    Resource(
                        type="vault_ssh_secret_backend_ca",
                        path=_CA,
                        mount="backend",
                        mount_default="ssh",
                        id="{backend}",
                        version=1,
                        fields={
                            "generate_signing_key": Field(FLAG, default=True, readable=False, replace=True),
                            "key_type": Field(
                                choice(
                                    "ed25519",
                                    "ssh-rsa",
                                    "ecdsa-sha2-nistp256",
                                    "ecdsa-sha2-nistp384",
                                    "ecdsa-sha2-nistp521",
                                ),
                                default="ed25519",
                                official="ssh-rsa",
                                readable=False,
                                replace=True,
                            ),
                            "key_bits": Field(NUMBER, readable=False, replace=True),
                            "managed_key_id": Field(TEXT, yaml=False, readable=False, replace=True),
                            "managed_key_name": Field(TEXT, yaml=False, readable=False, replace=True),
                            "private_key": Field(
                                TEXT, yaml=False, readable=False, replace=True, computed=True, sensitive=True
                            ),
                            "public_key": Field(TEXT, yaml=False, replace=True, computed=True),
                        },
                        writes=(Write(_CA, on=("create",), once=True),),
                        gone=("keys haven't been configured yet", "no default issuer currently configured"),
                        adopt="leave",
                        loses="hosts trust nothing that a new key signs before they are told of it",
                    )
                ),
            ),
        ),
        Object(
            key="roles",
            list="{mount}/roles",
            gives=(_CERTIFICATE, leases("{mount}/creds/{name}", "one-time password")),
            shut={**_NO_HOST, "cidr_list": NOWHERE[0]},
            shut_only={**dict.fromkeys(_NO_HOST, _OF_CA), "cidr_list": {"key_type": "otp"}},
            required=("key_type",),
            parts=(
                Part(
                    Resource(
                        type="vault_ssh_secret_backend_role",
                        path=_ROLE,
                        mount="backend",
                        name="name",
                        fields={
                            "key_type": Field(choice("ca", "otp"), required=True, replace=True),
                            "algorithm_signer": Field(
                                choice("default", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"),
                                default="default",
                                only=_OF_CA,
                                computed=True,
                                limit=_SHA2,
                            ),
                            "allow_user_certificates": Field(FLAG),
                            "allow_host_certificates": Field(FLAG),
                            "allow_bare_domains": Field(FLAG),
                            "allow_subdomains": Field(FLAG),
                            "allow_empty_principals": Field(FLAG, limit=_NAMED),
                            "allow_user_key_ids": Field(FLAG),
                            "allowed_users": Field(TEXT, limit=_SOMEBODY),
                            "allowed_users_template": Field(FLAG),
                            "allowed_domains": Field(TEXT),
                            "allowed_domains_template": Field(FLAG, default=False, only=_OF_CA, computed=True),
                            "allowed_critical_options": Field(TEXT),
                            "allowed_extensions": Field(TEXT),
                            "allowed_user_key_lengths": Field(_KEY_LENGTHS, "allowed_user_key_config"),
                            "default_critical_options": Field(MAP),
                            "default_extensions": Field(MAP),
                            "default_extensions_template": Field(FLAG),
                            "default_user": Field(TEXT),
                            "default_user_template": Field(FLAG),
                            "key_id_format": Field(TEXT),
                            "cidr_list": Field(TEXT),
                            "exclude_cidr_list": Field(
                                Shape(
                                    ["set", "string"],
                                    LIST.schema,
                                    LIST.expected,
                                    _networks,
                                    _networks,
                                    [],
                                    lambda v: ",".join(v or []),
                                )
                            ),
                            "port": Field(NUMBER, default=22, only={"key_type": "otp"}, computed=True),
                            "ttl": Field(SECONDS_TEXT, default="30m", only=_OF_CA, computed=True, limit=_SHORT),
                            "max_ttl": Field(SECONDS_TEXT, default=_LONGEST, only=_OF_CA, computed=True, limit=_SHORT),
                            "not_before_duration": Field(SECONDS_TEXT, default="30s", only=_OF_CA, computed=True),
                        },
                        writes=(Write(_ROLE),),
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "ssh",
        "ca": {"key_type": "ed25519"},
        "roles": {
            "operators": {
                "key_type": "ca",
                "allow_user_certificates": True,
                "allowed_users": "ops,deploy",
                "default_user": "ops",
                "allowed_extensions": "permit-pty",
                "default_extensions": {"permit-pty": ""},
                "allowed_user_key_lengths": {"rsa": [2048, 4096]},
                "ttl": "30m",
                "max_ttl": "8h",
            },
            "breakglass": {
                "key_type": "otp",
                "default_user": "ops",
                "allowed_users": "ops,deploy",
                "cidr_list": "10.0.0.0/8",
                "exclude_cidr_list": ["10.0.0.0/24"],
                "port": 2222,
            },
        },
    },
)
