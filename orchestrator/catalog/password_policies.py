"""Password policies: how the passwords look that engines make."""

from __future__ import annotations

from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import TEXT, choice

_RULES = """\
length = 24

rule "charset" {
  charset   = "abcdefghijklmnopqrstuvwxyz"
  min-chars = 1
}

rule "charset" {
  charset   = "0123456789"
  min-chars = 1
}
"""
_SOURCE = {
    "openbao": "OpenBao has one source of randomness; leave it out",
    "vault": "entropy augmentation needs Vault Enterprise; leave it out, or write `edition: enterprise` in the cluster",
}

PASSWORD_POLICIES = Kind(
    name="password_policies",
    family="system",
    canary="orchestrator.live.canaries.password_policies:trials",
    summary="How the passwords look that engines make.",
    objects=(
        Object(
            key="password_policies",
            list="sys/policies/password",
            required=("policy",),
            parts=(
                Part(
                    Resource(
                        type="vault_password_policy",
                        path="sys/policies/password/{name}",
                        name="name",
                        id="{name}",
                        takes_id=False,
                        fields={
                            "policy": Field(TEXT, required=True),
                            "entropy_source": Field(choice("", "platform", "seal"), readable=False, absent=_SOURCE),
                        },
                        writes=(Write("sys/policies/password/{name}"),),
                    )
                ),
            ),
        ),
    ),
    example={"letters-and-digits": {"policy": _RULES}},
)
