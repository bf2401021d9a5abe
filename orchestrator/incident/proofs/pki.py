"""Revoked certificates as those see them who have to refuse them: in the CRL, and by OCSP, each of them signed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp

from orchestrator.incident.kinds.pki import Issuer, issuers
from orchestrator.incident.model import Proof
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential
    from orchestrator.live.server import Server

_REQUEST = "application/ocsp-request"
_REVOKED, _GOOD = "revoked, signed", "good"


@dataclass(frozen=True)
class List:
    """A CRL that its issuer signed and that is in force, or why there is none."""

    revoked: frozenset[int] = frozenset()
    said: str = ""
    wrong: str = ""


def listed(ground: Ground, revoked: Sequence[Credential]) -> Iterator[Proof]:
    """One proof for all that an issuer's CRL and OCSP refuse, one for each that they do not."""
    for namespace, mount in dict.fromkeys((one.namespace, _mount(one)) for one in revoked):
        inside = ground.inside(namespace)
        some = [one for one in revoked if (one.namespace, _mount(one)) == (namespace, mount)]
        every = issuers(inside, mount)
        for issuer in every:
            own = [one for one in some if _is_by(one, issuer)]
            if own:
                yield from _by(inside, issuer, own)
        for one in some:
            if not any(_is_by(one, issuer) for issuer in every):
                yield Proof(one.what, one.id, dead=None, said=f"its issuer is no more on {mount}: no CRL speaks of it")


def _mount(one: Credential) -> str:
    return one.id.removesuffix(f":{one.facts['serial']}")


def _is_by(one: Credential, issuer: Issuer) -> bool:
    """By the key that signed it, or by name where it says none."""
    authority = one.facts["authority"]
    if not authority:
        return bool(one.facts["issuer"] == issuer.certificate.subject.rfc4514_string())
    return bool(authority == _key_id(issuer.certificate))


def _key_id(one: x509.Certificate) -> str:
    try:
        return one.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
    except x509.ExtensionNotFound:
        return ""


def _by(ground: Ground, issuer: Issuer, revoked: Sequence[Credential]) -> Iterator[Proof]:
    """What the issuer's list and its OCSP say of each."""
    settings = _settings(ground, issuer.mount)
    crl, server, dead = crl_of(ground, issuer, settings), ground.server.as_token(""), Counter[str]()
    for one in revoked:
        serial = int(str(one.facts["serial"]).replace(":", ""), 16)
        in_list = serial in crl.revoked
        answer = "switched off" if settings.get("ocsp_disable") else ocsp_of(server, issuer, serial)
        where = "the CRL lists it" if in_list else crl.wrong or "the CRL does not list it"
        if answer == _GOOD or not (in_list or crl.wrong):
            yield Proof(one.what, f"certificate {one.id}", dead=False, said=f"{where}; OCSP: {answer}")
        elif in_list or answer == _REVOKED:
            dead[answer] += 1
        else:
            yield Proof(one.what, f"certificate {one.id}", dead=None, said=f"{where}; OCSP: {answer}")
    name = issuer.certificate.subject.rfc4514_string()
    for answer, count in dead.items():
        title = f"{count} certificate{'s' if count > 1 else ''} of {name}"
        yield Proof("certificate", title, dead=True, said=f"{crl.said or crl.wrong}; OCSP: {answer}", count=count)


def _settings(ground: Ground, mount: str) -> Mapping[str, Json]:
    try:
        return ground.server.read(f"{mount}/config/crl") or {}
    except Denied:
        return {}


def crl_of(ground: Ground, issuer: Issuer, settings: Mapping[str, Json]) -> List:
    """As a client fetches it, without any token."""
    path = f"{issuer.mount}/issuer/{issuer.id}/crl/der"
    try:
        found = x509.load_der_x509_crl(ground.server.as_token("").fetch(path))
    except (Denied, Rejected, ValueError) as error:
        return List(wrong=f"there is no CRL at {path}: {error}")
    if not found.is_signature_valid(issuer.certificate.public_key()):  # type: ignore[arg-type]
        return List(wrong=f"the CRL at {path} is not signed by its issuer")
    if found.next_update_utc is None or found.next_update_utc <= datetime.now(UTC):
        return List(wrong=f"the CRL at {path} is out of date")
    if settings.get("disable"):
        return List(wrong=f"{issuer.mount} has its CRL disabled")
    number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    said = f"in CRL {number} at {path}, signed, in force till {found.next_update_utc:%Y-%m-%d %H:%M} UTC"
    return List(frozenset(one.serial_number for one in found), said)


def ocsp_of(server: Server, issuer: Issuer, serial: int) -> str:
    """What OCSP says of one, asked without any token as a client does."""
    name, key = _hashed(issuer.certificate)
    asked = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, serial, hashes.SHA1())  # noqa: S303 - names
    body = asked.build().public_bytes(serialization.Encoding.DER)
    try:
        answer = ocsp.load_der_ocsp_response(server.fetch(f"{issuer.mount}/ocsp", body, _REQUEST))
    except (Denied, Rejected, ValueError) as error:
        return f"no answer: {error}"
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return f"no answer: {answer.response_status.name.lower()}"
    if answer.serial_number != serial or not _is_signed(answer, issuer.certificate):
        return "its answer is not signed by the issuer"
    return {ocsp.OCSPCertStatus.REVOKED: _REVOKED, ocsp.OCSPCertStatus.GOOD: _GOOD}.get(
        answer.certificate_status, "it does not know it"
    )


def _hashed(issuer: x509.Certificate) -> tuple[bytes, bytes]:
    """The name and the key of an issuer as OCSP calls them: by SHA-1, which all responders know."""
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303 - a name, no signature
    digest.update(issuer.subject.public_bytes())
    return digest.finalize(), x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest


def _is_signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    key, algorithm = issuer.public_key(), answer.signature_hash_algorithm
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm:
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm:
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def powerless(ground: Ground, revoked: Sequence[Credential]) -> Iterator[Proof]:
    """An issuer that is revoked signs nothing more here; the world outside is told by its trust stores alone."""
    for one in revoked:
        live = ground.inside(one.namespace).server.read(one.id) or {}
        signs = "issuing-certificates" in str(live.get("usage"))
        said = "it may not issue any more" if not signs else "it may still issue"
        yield Proof(one.what, f"{one.id} on this server", dead=bool(live.get("revoked")) and not signs, said=said)
        yield Proof(one.what, str(one.facts["subject"]), dead=None, said="whoever trusts it must take it out by hand")
