"""Every kind of object this tool manages. To add one, write its file and name it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.catalog.approle import APPROLE
from orchestrator.catalog.database import DATABASE
from orchestrator.catalog.jwt import JWT
from orchestrator.catalog.kv import KV_V1, KV_V2
from orchestrator.catalog.pki import PKI
from orchestrator.catalog.ssh import SSH
from orchestrator.catalog.system import NAMESPACES, PASSTHROUGH, POLICIES
from orchestrator.catalog.transit import TRANSIT
from orchestrator.catalog.userpass import USERPASS

if TYPE_CHECKING:
    from orchestrator.model import Kind, Resource

SYSTEM = {kind.name: kind for kind in (POLICIES, NAMESPACES, PASSTHROUGH)}
AUTH = {kind.name: kind for kind in (APPROLE, JWT, USERPASS)}
SECRETS = {kind.name: kind for kind in (DATABASE, KV_V1, KV_V2, PKI, SSH, TRANSIT)}
FAMILIES = {"system": SYSTEM, "auth": AUTH, "secrets": SECRETS}
CATALOG: dict[str, Kind] = {**SYSTEM, **AUTH, **SECRETS}


def resources(kind: Kind) -> list[Resource]:
    return [*([kind.mount] if kind.mount else []), *(part.resource for one in kind.objects for part in one.parts)]


RESOURCES: dict[str, Resource] = {one.type: one for kind in CATALOG.values() for one in resources(kind)}
