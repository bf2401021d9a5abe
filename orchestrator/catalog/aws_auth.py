"""AWS: IAM principals and EC2 instances log in with what AWS signs for them."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.shared import (
    AFTER_POLICIES,
    AUTH_MOUNT,
    FEDERATED,
    SHUT,
    TOKEN,
    credential,
    federation,
    rotation,
    tokens,
)
from orchestrator.model import Field, Kind, Limit, Object, Part, Resource, Write
from orchestrator.shapes import FLAG, PEM, SECONDS, SET, SIGNED, TEXT, choice

if TYPE_CHECKING:
    from orchestrator.documents import Json

_CLIENT = "auth/{backend}/config/client"
_ROLE = "auth/{backend}/role/{role}"
_STS = "auth/{backend}/config/sts/{account_id}"
_CERTIFICATE = "auth/{backend}/config/certificate/{cert_name}"
_IDENTITY = "auth/{backend}/config/identity"
_INSTANCES = "auth/{backend}/config/tidy/identity-whitelist"
_TAGS = "auth/{backend}/config/tidy/roletag-blacklist"
_HEADERS = replace(SET, canon=lambda value: sorted(name.lower() for name in value or []))  # capitals are the server's
_ANY_ACCOUNT = Limit(
    "aws-any-account",
    lambda value: not any(re.match(r"\*|arn:[^:]*:[^:]*:[^:]*:(\*|:)", arn) for arn in value or []),
    "principals of any AWS account could log in",
)
_METADATA = ["account_id", "auth_type"]


def _certificate(value: Json) -> str:
    """A certificate as a PEM text, from that or from base64.

    >>> _certificate("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t")
    '-----BEGIN CERTIFICATE-----'
    """
    text = value or ""
    return (text if text.startswith("-----BEGIN ") or not text else base64.b64decode(text + "==").decode()).strip()


def _encoded(value: Json) -> str:
    """In base64, with newlines at the end till it needs no padding: the official provider would take it off."""
    text = _certificate(value) + "\n"
    return base64.b64encode((text + "\n" * (-len(text) % 3)).encode()).decode()


_ENCODED = replace(PEM, canon=_certificate, render=_encoded)


def _resource(type_: str, path: str, name: str, fields: dict[str, Field], **more: Json) -> Resource:
    return Resource(
        type=type_,
        path=path,
        mount="backend",
        name=name,
        fields=fields,
        writes=(Write(path, always=True),),
        **{"mount_default": "aws", **more},
    )


_TIDY = {"safety_buffer": Field(SECONDS, default=259200), "disable_periodic_tidy": Field(FLAG)}

_EXAMPLE_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBETCBt6ADAgECAgEBMAoGCCqGSM49BAMCMBIxEDAOBgNVBAMMB2V4YW1wbGUw
HhcNMjYwMTAxMDAwMDAwWhcNNDYwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdleGFt
cGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYZx/KoPnipKFQVodzPOgPg8G
CWarLo0xL3Nn79qCnvA+F3i0SAuFsW9R5oRJwHtBo+Xgw0AgqNHUXSkv6g9YqjAK
BggqhkjOPQQDAgNJADBGAiEA8XMfnb9OWzeNitCFBnXXBSzHuIwwD6FuBpm2kg/r
eeICIQCl6KR9mH7oh/ealglkJSGdvTyXY1NCNXjNiUCTAdO9/A==
-----END CERTIFICATE-----
"""

AWS_AUTH = Kind(
    name="aws",
    family="auth",
    summary="IAM principals and EC2 instances log in with what AWS signs for them.",
    mount=AUTH_MOUNT,
    absent={"openbao": "OpenBao has no aws auth method; use HashiCorp Vault, or register a plugin with `plugins`"},
    objects=(
        Object(
            key="config",
            single=True,
            parts=(
                Part(
                    _resource(
                        "vault_aws_auth_backend_client",
                        _CLIENT,
                        "",
                        {
                            "access_key": Field(TEXT, sensitive=True),
                            **credential("secret_key"),
                            "endpoint": Field(TEXT, "ec2_endpoint", "endpoint"),
                            "iam_endpoint": Field(TEXT),
                            "sts_endpoint": Field(TEXT),
                            "sts_region": Field(TEXT),
                            "use_sts_region_from_client": Field(FLAG, default=False, computed=True),
                            "iam_server_id_header_value": Field(TEXT),
                            "allowed_sts_header_values": Field(_HEADERS),
                            "max_retries": Field(SIGNED, default=-1),
                            "role_arn": Field(TEXT, absent=FEDERATED),
                            **federation(),
                            **rotation(),
                        },
                    )
                ),
            ),
        ),
        Object(
            key="identity",
            single=True,
            always=True,
            parts=(
                Part(
                    _resource(
                        "vault_aws_auth_backend_config_identity",
                        _IDENTITY,
                        "",
                        {
                            "iam_alias": Field(
                                choice("role_id", "unique_id", "canonical_arn", "full_arn"), default="role_id"
                            ),
                            "iam_metadata": Field(SET, default=_METADATA),
                            "ec2_alias": Field(choice("role_id", "instance_id", "image_id"), default="role_id"),
                            "ec2_metadata": Field(SET, default=_METADATA),
                        },
                        adopt="create",
                        kept=True,
                    )
                ),
            ),
        ),
        Object(
            key="tidy_identity_accesslist",
            single=True,
            parts=(Part(_resource("vault_aws_auth_backend_identity_whitelist", _INSTANCES, "", _TIDY)),),
        ),
        Object(
            key="tidy_roletag_denylist",
            single=True,
            parts=(Part(_resource("vault_aws_auth_backend_roletag_blacklist", _TAGS, "", _TIDY, mount_default="")),),
        ),
        Object(
            key="certificates",
            list="auth/{mount}/config/certificates",
            required=("aws_public_cert",),
            parts=(
                Part(
                    _resource(
                        "vault_aws_auth_backend_cert",
                        _CERTIFICATE,
                        "cert_name",
                        {
                            "aws_public_cert": Field(_ENCODED, required=True, replace=True),
                            "type": Field(choice("pkcs7", "identity"), default="pkcs7", replace=True),
                        },
                    )
                ),
            ),
        ),
        Object(
            key="sts_roles",
            list="auth/{mount}/config/sts",
            required=("sts_role",),
            parts=(
                Part(
                    _resource(
                        "vault_aws_auth_backend_sts_role",
                        _STS,
                        "account_id",
                        {"sts_role": Field(TEXT, required=True), "external_id": Field(TEXT)},
                    )
                ),
            ),
        ),
        Object(
            key="roles",
            list="auth/{mount}/roles",
            gives=(
                tokens("auth/{mount}/login", role_id="{role_id}"),
                tokens("auth/{mount}/login", role="{name}"),  # of servers that tell no id
            ),
            shut=SHUT,
            merges=True,  # a write that carries a principal asks AWS for it
            lower=True,
            parts=(
                Part(
                    _resource(
                        "vault_aws_auth_backend_role",
                        _ROLE,
                        "role",
                        {
                            "auth_type": Field(choice("iam", "ec2"), default="iam", replace=True),
                            "bound_iam_principal_arn": Field(SET, "bound_iam_principal_arns", limit=_ANY_ACCOUNT),
                            "resolve_aws_unique_ids": Field(FLAG, default=True, lasting=True),
                            "bound_account_id": Field(SET, "bound_account_ids"),
                            "bound_ami_id": Field(SET, "bound_ami_ids"),
                            "bound_ec2_instance_id": Field(SET, "bound_ec2_instance_ids"),
                            "bound_iam_instance_profile_arn": Field(SET, "bound_iam_instance_profile_arns"),
                            "bound_iam_role_arn": Field(SET, "bound_iam_role_arns"),
                            "bound_region": Field(SET, "bound_regions"),
                            "bound_subnet_id": Field(SET, "bound_subnet_ids"),
                            "bound_vpc_id": Field(SET, "bound_vpc_ids"),
                            "inferred_entity_type": Field(choice("", "ec2_instance")),
                            "inferred_aws_region": Field(TEXT),
                            "role_tag": Field(TEXT),
                            "allow_instance_migration": Field(FLAG),
                            "disallow_reauthentication": Field(FLAG),
                            "role_id": Field(TEXT, output=True),
                            **TOKEN,
                        },
                        after=AFTER_POLICIES,
                    )
                ),
            ),
        ),
    ),
    example={
        "type": "aws",
        "description": "workloads in AWS",
        "config": {
            "access_key": "AKIAEXAMPLE",
            "secret_key": "env:AWS_AUTH_SECRET_KEY",
            "sts_region": "eu-west-1",
            "sts_endpoint": "https://sts.eu-west-1.amazonaws.com",
            "iam_server_id_header_value": "vault.example.org",
            "allowed_sts_header_values": ["X-Example-Team"],
        },
        "identity": {"iam_alias": "full_arn", "iam_metadata": ["account_id", "auth_type", "client_arn"]},
        "tidy_identity_accesslist": {"safety_buffer": "24h"},
        "tidy_roletag_denylist": {"safety_buffer": "24h", "disable_periodic_tidy": False},
        "certificates": {"outpost": {"aws_public_cert": _EXAMPLE_CERTIFICATE, "type": "pkcs7"}},
        "sts_roles": {
            "210987654321": {"sts_role": "arn:aws:iam::210987654321:role/vault", "external_id": "example"},
        },
        "roles": {
            "payments": {
                "auth_type": "iam",
                "bound_iam_principal_arn": ["arn:aws:iam::123456789012:role/payments"],
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
                "token_max_ttl": "4h",
            },
            "batch": {
                "auth_type": "ec2",
                "bound_account_id": ["123456789012"],
                "bound_vpc_id": ["vpc-b61106d4"],
                "disallow_reauthentication": True,
                "token_policies": ["payments-read"],
                "token_ttl": "15m",
            },
        },
    },
)
