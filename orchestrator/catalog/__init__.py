"""Every kind of object this tool manages. To add one, write its file and name it here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.alicloud import ALICLOUD_AUTH, ALICLOUD_SECRETS
from orchestrator.catalog.approle import APPROLE
from orchestrator.catalog.audit import AUDIT
from orchestrator.catalog.aws_auth import AWS_AUTH
from orchestrator.catalog.aws_secrets import AWS_SECRETS
from orchestrator.catalog.azure_auth import AZURE_AUTH
from orchestrator.catalog.azure_secrets import AZURE_SECRETS
from orchestrator.catalog.browser import CORS, UI
from orchestrator.catalog.cert import CERT
from orchestrator.catalog.consul import CONSUL
from orchestrator.catalog.database import DATABASE
from orchestrator.catalog.gcp_auth import GCP_AUTH
from orchestrator.catalog.gcp_secrets import GCP_SECRETS
from orchestrator.catalog.github import GITHUB
from orchestrator.catalog.identity import IDENTITY
from orchestrator.catalog.identity_mfa import IDENTITY_MFA
from orchestrator.catalog.identity_oidc import IDENTITY_OIDC
from orchestrator.catalog.jwt import JWT
from orchestrator.catalog.kerberos import KERBEROS
from orchestrator.catalog.kubernetes import KUBERNETES
from orchestrator.catalog.kubernetes_secrets import KUBERNETES_SECRETS
from orchestrator.catalog.kv import KV_V1, KV_V2
from orchestrator.catalog.ldap import LDAP
from orchestrator.catalog.ldap_secrets import LDAP_SECRETS
from orchestrator.catalog.mongodbatlas import MONGODB_ATLAS
from orchestrator.catalog.nomad import NOMAD
from orchestrator.catalog.oidc import OIDC
from orchestrator.catalog.okta import OKTA
from orchestrator.catalog.password_policies import PASSWORD_POLICIES
from orchestrator.catalog.pki import PKI
from orchestrator.catalog.plugins import PLUGINS
from orchestrator.catalog.quotas import QUOTAS
from orchestrator.catalog.rabbitmq import RABBITMQ
from orchestrator.catalog.radius import RADIUS
from orchestrator.catalog.raft import RAFT
from orchestrator.catalog.sentinel import EGP_POLICIES, RGP_POLICIES
from orchestrator.catalog.ssh import SSH
from orchestrator.catalog.system import NAMESPACES, PASSTHROUGH, POLICIES
from orchestrator.catalog.terraform_cloud import TERRAFORM_CLOUD
from orchestrator.catalog.tokens import TOKENS
from orchestrator.catalog.totp import TOTP
from orchestrator.catalog.transit import TRANSIT
from orchestrator.catalog.userpass import USERPASS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.model import Kind, Object, Resource

SYSTEM = {
    kind.name: kind
    for kind in (
        POLICIES,
        NAMESPACES,
        TOKENS,
        IDENTITY,
        IDENTITY_OIDC,
        IDENTITY_MFA,
        PASSTHROUGH,
        PASSWORD_POLICIES,
        AUDIT,
        QUOTAS,
        RAFT,
        CORS,
        UI,
        PLUGINS,
        EGP_POLICIES,
        RGP_POLICIES,
    )
}
AUTH = {
    kind.name: kind
    for kind in (
        APPROLE,
        CERT,
        JWT,
        KERBEROS,
        KUBERNETES,
        LDAP,
        OIDC,
        RADIUS,
        USERPASS,
        AWS_AUTH,
        AZURE_AUTH,
        GCP_AUTH,
        GITHUB,
        OKTA,
        ALICLOUD_AUTH,
    )
}
SECRETS = {
    kind.name: kind
    for kind in (
        DATABASE,
        KUBERNETES_SECRETS,
        KV_V1,
        KV_V2,
        LDAP_SECRETS,
        PKI,
        RABBITMQ,
        SSH,
        TOTP,
        TRANSIT,
        AWS_SECRETS,
        AZURE_SECRETS,
        GCP_SECRETS,
        CONSUL,
        NOMAD,
        TERRAFORM_CLOUD,
        MONGODB_ATLAS,
        ALICLOUD_SECRETS,
    )
}
FAMILIES = {"system": SYSTEM, "auth": AUTH, "secrets": SECRETS}
CATALOG: dict[str, Kind] = {kind.id: kind for family in FAMILIES.values() for kind in family.values()}


def resources(kind: Kind) -> list[Resource]:
    """The Terraform resources behind a kind."""
    of_objects = (part.resource.through or part.resource for one in kind.objects for part in one.parts)
    return [*([kind.mount] if kind.mount else []), *of_objects]


def _united(type_name: str, several: Sequence[Resource]) -> Resource:
    """One resource with the attributes of all that share a Terraform type."""
    distinct = [one for index, one in enumerate(several) if one not in several[:index]]
    first = distinct[0]
    if len(distinct) == 1:
        return first
    fields = {
        attribute.terraform: replace(attribute.field, terraform=attribute.terraform, api=attribute.api)
        for one in reversed(distinct)
        for attribute in one.attributes()
    }
    groups = {name: way for one in distinct for name, way in one.groups.items()}
    return replace(first, type=type_name, fields=fields, groups=groups, constants={}, variants=tuple(distinct))


def _by_type() -> dict[str, Resource]:
    several: dict[str, list[Resource]] = defaultdict(list)
    for kind in CATALOG.values():
        for one in resources(kind):
            several[one.type].append(one)
    return {name: _united(name, same) for name, same in several.items()}


RESOURCES = _by_type()


def named(kind: Kind, names: str) -> list[tuple[Kind, Object]]:
    """What a setting of a kind may name: `entities` of its own, or `identity/entities` of another kind."""
    other, _, own = names.rpartition("/")
    holder = SYSTEM[other] if other else kind
    keys = own.split(",")
    return [(holder, one) for one in holder.objects if one.key in keys]
