"""Sentinel: policies of Vault Enterprise that look at the whole request."""

from __future__ import annotations

from orchestrator.model import Field, Kind, Object, Part, Resource, Write
from orchestrator.shapes import LIST, TEXT, choice

_ENTERPRISE = {
    "openbao": "OpenBao has no Sentinel; write what it can say as an ACL policy in policies/",
    "vault": "Sentinel needs Vault Enterprise; write `edition: enterprise` in the cluster, or an ACL policy",
}
_LEVEL = choice("advisory", "soft-mandatory", "hard-mandatory")
_COMMON = {"policy": Field(TEXT, required=True), "enforcement_level": Field(_LEVEL, required=True)}
_OFFICE_HOURS = 'import "time"\n\nmain = rule { time.now.hour >= 8 and time.now.hour < 18 }\n'

EGP = Resource(
    type="vault_egp_policy",
    path="sys/policies/egp/{name}",
    name="name",
    id="{name}",
    fields={**_COMMON, "paths": Field(LIST, required=True)},
    writes=(Write("sys/policies/egp/{name}"),),
)
RGP = Resource(
    type="vault_rgp_policy",
    path="sys/policies/rgp/{name}",
    name="name",
    id="{name}",
    fields=_COMMON,
    writes=(Write("sys/policies/rgp/{name}"),),
)

EGP_POLICIES = Kind(
    name="egp_policies",
    family="system",
    summary="What every request to a path must hold to.",
    absent=_ENTERPRISE,
    objects=(
        Object(
            key="egp_policies",
            list="sys/policies/egp",
            lower=True,
            required=("policy", "enforcement_level", "paths"),
            parts=(Part(EGP),),
        ),
    ),
    example={
        "office-hours": {"policy": _OFFICE_HOURS, "enforcement_level": "soft-mandatory", "paths": ["apps/*"]},
    },
)
RGP_POLICIES = Kind(
    name="rgp_policies",
    family="system",
    summary="What every request of a token that has the policy must hold to.",
    absent=_ENTERPRISE,
    objects=(
        Object(
            key="rgp_policies",
            list="sys/policies/rgp",
            lower=True,
            policy=True,
            required=("policy", "enforcement_level"),
            parts=(Part(RGP),),
        ),
    ),
    example={"office-hours": {"policy": _OFFICE_HOURS, "enforcement_level": "soft-mandatory"}},
)
