"""A second factor at login: one-time codes, and for whom they are asked."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model import Field, Found, Kind, Object, Part, Resource, Write
from orchestrator.shapes import NUMBER, SECONDS, SET, TEXT, choice

_TOTP = "identity/mfa/method/totp/{method_id}"
_ENFORCEMENT = "identity/mfa/login-enforcement/{name}"
_DIGITS = replace(NUMBER, schema={"enum": [6, 8]}, expected="6 or 8")
_SKEW = replace(NUMBER, schema={"enum": [0, 1]}, expected="0 or 1")
_TEXTS = ("mount_accessor", "name", "namespace_id", "namespace_path", "type")

TOTP_METHOD = Resource(
    type="vault_identity_mfa_totp",
    path=_TOTP,
    id="{method_id}",
    found=Found(  # the list has those of the namespaces above, too
        "identity/mfa/method/totp/", "key_info", {"issuer": "{issuer}", "namespace_path": "{within}"}
    ),
    fields={
        "issuer": Field(TEXT, required=True),
        "algorithm": Field(choice("SHA1", "SHA256", "SHA512"), default="SHA1"),
        "digits": Field(_DIGITS, default=6),
        "period": Field(SECONDS, default=30),
        "skew": Field(_SKEW, default=1),
        "key_size": Field(NUMBER, default=20),
        "qr_size": Field(NUMBER, default=200, computed=True),
        "max_validation_attempts": Field(NUMBER, default=5),
        "method_id": Field(TEXT, api="id", sent="method_id", output=True),
        "uuid": Field(TEXT, api="id", sent="method_id", output=True),
        **{name: Field(TEXT, output=True) for name in _TEXTS},
    },
    writes=(Write("identity/mfa/method/totp", on=("create",), once=True), Write(_TOTP, on=("update",))),
)

ENFORCEMENT = Resource(
    type="vault_identity_mfa_login_enforcement",
    path=_ENFORCEMENT,
    name="name",
    id="{name}",
    fields={
        "mfa_methods": Field(SET, "mfa_method_ids", "mfa_method_ids", required=True, names="totp", by="method_id"),
        "auth_methods": Field(SET, "auth_method_accessors", "auth_method_accessors", names="auth", by="accessor"),
        "auth_method_types": Field(SET),
        "entities": Field(SET, "identity_entity_ids", "identity_entity_ids", names="identity/entities", by="id"),
        "groups": Field(SET, "identity_group_ids", "identity_group_ids", names="identity/groups", by="id"),
        "namespace_id": Field(TEXT, output=True),
        "namespace_path": Field(TEXT, output=True),
        "uuid": Field(TEXT, api="id", output=True),
    },
    writes=(Write(_ENFORCEMENT),),
)

IDENTITY_MFA = Kind(
    name="identity_mfa",
    family="system",
    summary="A second factor at login: one-time codes, and for whom they are asked.",
    objects=(
        Object(key="totp", required=("issuer",), parts=(Part(TOTP_METHOD),)),
        Object(
            key="enforcements",
            list="identity/mfa/login-enforcement",
            required=("mfa_methods",),
            parts=(Part(ENFORCEMENT),),
        ),
    ),
    example={
        "totp": {"codes": {"issuer": "Example", "period": "30s", "digits": 6, "algorithm": "SHA256"}},
        "enforcements": {"engineers": {"mfa_methods": ["codes"], "groups": ["ci"]}},
    },
)
