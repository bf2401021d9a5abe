"""SSH: have a key signed and look at the certificate; make a one-time password and use it."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from orchestrator.live.canaries.trial import Failed, Trial, cleaning
from orchestrator.shapes import duration, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json, Spec
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_LABEL = "strongroom-canary"
_TTL = 60
_SIGN = "have a key signed, and check the certificate"
_PASSWORD = "make a one-time password, and use it"  # noqa: S105 - words
_CURVES = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
_RSA_BITS = 2048


def trials(mount: Mount) -> Iterator[Trial]:
    for role in mount.declared("roles"):
        ways = {"ca": (_SIGN, _prove_certificate), "otp": (_PASSWORD, _prove_password)}
        what, prove = ways[role.spec["key_type"]]
        if role.spec["key_type"] == "ca" and not _principals(role.spec)[1]:
            continue  # it names nobody, or only by templates: who it signs for is not known here
        yield Trial(role.title, what, partial(prove, mount.server, role))


def _prove_certificate(server: Server, role: Declaration) -> None:
    key_type, principal = principal_of(role.spec)
    body = {
        "public_key": _public_key(role.spec),
        "ttl": duration(min(_TTL, seconds(role.spec.get("max_ttl")) or _TTL)),
        "cert_type": key_type,
        "valid_principals": principal,
    }
    signed = str(server.write(f"{role.mount}/sign/{role.name}", body)["signed_key"])
    authority = server.read(f"{role.mount}/config/ca", ("keys haven't been configured yet",)) or {}
    _check(signed, str(authority.get("public_key") or ""), principal)
    _check_with_ssh(signed)


def principal_of(spec: Spec) -> tuple[str, str]:
    """Which type of certificate the role gives, and a principal it allows.

    >>> principal_of({"allow_user_certificates": True, "allowed_users": "ops,deploy"})
    ('user', 'ops')
    >>> principal_of({"allow_host_certificates": True, "allowed_domains": "example.org", "allow_subdomains": True})
    ('host', 'strongroom-canary.example.org')
    """
    host, wanted = _principals(spec)
    return "host" if host else "user", wanted[0].replace("*", _LABEL)


def _principals(spec: Spec) -> tuple[bool, list[str]]:
    """Whether the role signs hosts, and the names that it would sign."""
    host = bool(spec.get("allow_host_certificates")) and not spec.get("allow_user_certificates")
    users = [*_names(spec.get("default_user")), *_names(spec.get("allowed_users"))]
    prefix = "" if spec.get("allow_bare_domains") else f"{_LABEL}."
    return host, [f"{prefix}{name}" for name in _names(spec.get("allowed_domains"))] if host else users


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip() and "{{" not in name]


def _public_key(spec: Spec) -> str:
    """A new public key of a type and length that the role takes."""
    allowed = {name.removeprefix("ssh-"): sizes for name, sizes in (spec.get("allowed_user_key_lengths") or {}).items()}
    made = _private_key(allowed).public_key()
    return made.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _private_key(
    allowed: Mapping[str, list[int]],
) -> ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if not allowed or "ed25519" in allowed:
        return ed25519.Ed25519PrivateKey.generate()
    if sizes := allowed.get("ecdsa") or allowed.get("ec"):
        return ec.generate_private_key(_CURVES.get(min(sizes), ec.SECP256R1()))
    return rsa.generate_private_key(65537, min(allowed.get("rsa", ()), default=0) or _RSA_BITS)


def _check(signed: str, authority: str, principal: str) -> None:
    try:
        certificate = serialization.load_ssh_public_identity(signed.encode())
        if not isinstance(certificate, serialization.SSHCertificate):
            raise Failed("the server returns a key, not a certificate")
        certificate.verify_cert_signature()
    except (ValueError, InvalidSignature) as error:
        raise Failed(f"the certificate is not signed as it says: {error}") from error
    if _signer(certificate) != authority.split()[:2]:
        raise Failed("the certificate is not signed by the key of this mount")
    if principal.encode() not in certificate.valid_principals:
        raise Failed(f"the certificate is not for {principal}")


def _signer(certificate: serialization.SSHCertificate) -> list[str]:
    key = certificate.signature_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode().split()


def _check_with_ssh(signed: str) -> None:
    """OpenSSH itself accepts it, where there is one."""
    program = shutil.which("ssh-keygen")
    if program is None:
        return
    done = subprocess.run([program, "-L", "-f", "-"], input=signed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"ssh-keygen does not accept the certificate: {done.stderr.strip()}")


def _prove_password(server: Server, role: Declaration) -> None:
    address = allowed_address(role.spec)
    answer = server.request("POST", f"{role.mount}/creds/{role.name}", {"ip": address})
    with cleaning(partial(_revoke, server, answer.lease), "a one-time password"):
        used = server.write(f"{role.mount}/verify", {"otp": answer.data["key"]})
        if used.get("ip") != address or used.get("role_name") != role.name:
            raise Failed(f"the one-time password is not for {address}")


def _revoke(server: Server, lease: str) -> None:
    if lease:
        server.write("sys/leases/revoke", {"lease_id": lease, "sync": True}, again=True)


def allowed_address(spec: Mapping[str, Json]) -> str:
    """An address in the role's networks and in none that it excludes.

    >>> allowed_address({"cidr_list": "10.0.0.0/8", "exclude_cidr_list": ["10.0.0.0/31"]})
    '10.0.0.2'
    """
    excluded = [ipaddress.ip_network(text, strict=False) for text in spec.get("exclude_cidr_list") or ()]
    for text in _names(spec.get("cidr_list")):
        network = ipaddress.ip_network(text, strict=False)
        first = int(network.network_address)
        starts = [first + 1, *(int(one.broadcast_address) + 1 for one in excluded), first]
        for candidate in (ipaddress.ip_address(start) for start in starts):
            if candidate in network and not any(candidate in one for one in excluded):
                return str(candidate)
    raise Failed("no address this role would take: its cidr_list is empty or all excluded")
