"""The private key of a certificate leaked: one of many that two roles gave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from orchestrator.incident.runbooks.drills.stage import Life, Planted

if TYPE_CHECKING:
    from orchestrator.documents import Json
    from orchestrator.incident.runbooks.drills.stage import Stage

CERTIFICATES = 10
ROLE: dict[str, Json] = {
    "allowed_domains": ["example.org"],
    "allow_subdomains": True,
    "key_type": "ec",
    "max_ttl": "72h",
}


def plant(stage: Stage) -> Planted:
    """A certificate whose key a stranger has, in a file beside others that are well."""
    authority(stage, "pki", "Root")
    stage.server.write("pki/roles/web", ROLE)
    leaked = issued(stage, "pki", "leaked.example.org")
    found = stage.kept("leaked.pem", str(leaked["certificate"]))
    others = [issued(stage, "pki", f"host-{number}.example.org") for number in range(CERTIFICATES)]
    lives = [certificate(stage, "pki", str(one["serial_number"])) for one in others]
    answers = {"certificate": f"file:{found}"}
    return Planted([certificate(stage, "pki", str(leaked["serial_number"]))], [*lives, *stage.bystanders(1)], answers)


def authority(stage: Stage, mount: str, name: str) -> None:
    stage.server.write(f"sys/mounts/{mount}", {"type": "pki", "config": {"max_lease_ttl": "87600h"}})
    settings = {"common_name": f"Drill {name}", "ttl": "8760h", "key_type": "ec"}
    stage.server.write(f"{mount}/root/generate/internal", settings)


def issued(stage: Stage, mount: str, name: str) -> dict[str, Json]:
    return dict(stage.server.write(f"{mount}/issue/web", {"common_name": name}))


def certificate(stage: Stage, mount: str, serial: str) -> Life:
    """A certificate lives as long as the list of its mount does not name it."""
    number = int(serial.replace(":", ""), 16)

    def lives() -> bool:
        found = (stage.server.read(f"{mount}/cert/crl") or {})["certificate"]
        crl = x509.load_pem_x509_crl(str(found).encode())
        return crl.get_revoked_certificate_by_serial_number(number) is None

    return Life("certificate", lives)
