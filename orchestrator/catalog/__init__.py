"""Every kind of object this tool manages. To add one, write its file and name it here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog.approle import APPROLE
from orchestrator.catalog.database import DATABASE
from orchestrator.catalog.jwt import JWT
from orchestrator.catalog.kubernetes_secrets import KUBERNETES_SECRETS
from orchestrator.catalog.kv import KV_V1, KV_V2
from orchestrator.catalog.ldap_secrets import LDAP_SECRETS
from orchestrator.catalog.pki import PKI
from orchestrator.catalog.ssh import SSH
from orchestrator.catalog.system import NAMESPACES, PASSTHROUGH, POLICIES
from orchestrator.catalog.totp import TOTP
from orchestrator.catalog.transit import TRANSIT
from orchestrator.catalog.userpass import USERPASS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.model import Kind, Object, Resource

SYSTEM = {kind.name: kind for kind in (POLICIES, NAMESPACES, PASSTHROUGH)}
AUTH = {kind.name: kind for kind in (APPROLE, JWT, USERPASS)}
SECRETS = {
    kind.name: kind for kind in (DATABASE, KUBERNETES_SECRETS, KV_V1, KV_V2, LDAP_SECRETS, PKI, SSH, TOTP, TRANSIT)
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
