"""The key of an intermediate leaked: whoever has it signs what nobody sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from orchestrator.incident.runbooks.drills.pki_key import ROLE, authority, certificate, issued
from orchestrator.incident.runbooks.drills.stage import Life, Planted
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from orchestrator.incident.runbooks.drills.stage import Stage


def plant(stage: Stage) -> Planted:
    """A root with two intermediates, each of which gives out certificates."""
    authority(stage, "pki-root", "Root")
    serials = {mount: _intermediate(stage, mount) for mount in ("pki", "pki-other")}
    leaked = [certificate(stage, "pki-root", serials["pki"]), _issues(stage, "pki")]
    others = [certificate(stage, "pki-root", serials["pki-other"]), _issues(stage, "pki-other"), *stage.bystanders(1)]
    answers = {"issuer": f"pki-root:{serials['pki']}", "mount": "pki"}
    return Planted(leaked, others, answers, proven=False)


def _intermediate(stage: Stage, mount: str) -> str:
    """A mount that signs by a certificate of the root; the serial of that."""
    stage.server.write(f"sys/mounts/{mount}", {"type": "pki", "config": {"max_lease_ttl": "87600h"}})
    name = {"common_name": f"Drill {mount}", "key_type": "ec"}
    asked = stage.server.write(f"{mount}/intermediate/generate/internal", name)
    made = stage.server.write("pki-root/root/sign-intermediate", {"csr": asked["csr"], **name, "ttl": "4380h"})
    stage.server.write(f"{mount}/intermediate/set-signed", {"certificate": made["certificate"]})
    stage.server.write(f"{mount}/roles/web", ROLE)
    signed = x509.load_pem_x509_certificate(str(made["certificate"]).encode())
    return signed.serial_number.to_bytes(20, "big").lstrip(b"\0").hex(":")


def _issues(stage: Stage, mount: str) -> Life:
    """An issuer lives as long as its mount signs by it."""

    def lives() -> bool:
        try:
            return bool(issued(stage, mount, "a.example.org"))
        except Rejected:
            return False

    return Life("issuer", lives)
