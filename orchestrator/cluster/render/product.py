"""How each product is installed: its program, its account, its folders, its image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.declared import Cluster


@dataclass(frozen=True)
class Product:
    """A server as packages and images bring it."""

    title: str
    program: str
    account: str  # user and group on a machine
    etc: str  # where its configuration lies on a machine; relative paths begin here
    home: str  # the folder of everything in an image
    prefix: str  # of its environment variables
    image: str
    chart: str
    locks_memory: bool  # whether it can keep itself out of swap by mlock
    audits_by_file: bool  # whether audit devices stand in its configuration
    uid: int = 100  # of the account in the image
    gid: int = 1000


PRODUCTS: Mapping[str, Product] = {
    "openbao": Product(
        title="OpenBao",
        program="bao",
        account="openbao",
        etc="/etc/openbao",
        home="/openbao",
        prefix="BAO",
        image="openbao/openbao",
        chart="openbao/openbao",
        locks_memory=False,
        audits_by_file=True,
    ),
    "vault": Product(
        title="HashiCorp Vault",
        program="vault",
        account="vault",
        etc="/etc/vault.d",
        home="/vault",
        prefix="VAULT",
        image="hashicorp/vault",
        chart="hashicorp/vault",
        locks_memory=True,
        audits_by_file=False,
    ),
}


def product(cluster: Cluster) -> Product:
    return PRODUCTS[cluster.server]


def image(cluster: Cluster) -> str:
    """The image of the declared version; the Enterprise edition has one of its own."""
    name, tag = product(cluster).image, cluster.version
    if cluster.edition == "enterprise":
        name, tag = f"{name}-enterprise", tag if "ent" in tag else f"{tag}-ent"
    return f"{name}:{tag.replace('+', '-')}"
