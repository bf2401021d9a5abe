"""A leaked certificate, by serial or by file, a leaked issuer, or all that a role could have issued."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from orchestrator.catalog.pki_roles import REVOCATION
from orchestrator.errors import StrongroomError
from orchestrator.incident import origins
from orchestrator.incident.ground import made
from orchestrator.incident.kinds import said
from orchestrator.incident.model import Credential, Gone, Look, Scope
from orchestrator.live.bulk import Ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground

_FLAG = "--certificate"
_SERIAL = re.compile(r"[0-9a-f]{2}(?:[:-]?[0-9a-f]{2})*", re.IGNORECASE)
_BY_HAND = "take it out of every trust store by hand, and replace what it signed"


@dataclass(frozen=True)
class Issuer:
    """An issuer of a live mount."""

    mount: str
    id: str
    certificate: x509.Certificate

    @property
    def is_root(self) -> bool:
        return signed(self.certificate, self.certificate)


def issuers(ground: Ground, mount: str) -> list[Issuer]:
    found = {id_: ground.server.read(f"{mount}/issuer/{id_}") or {} for id_ in ground.server.list(f"{mount}/issuers")}
    return [
        Issuer(mount, id_, x509.load_pem_x509_certificate(one["certificate"].encode())) for id_, one in found.items()
    ]


def signed(one: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(by)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def scope(ground: Ground, mounts: Sequence[str], value: str) -> Scope:
    """One certificate; that of an issuer shuts the mount's roles besides."""
    if value.startswith("file:"):
        leaked = _in_file(value)
        kept = {mount: leaked for mount in mounts if _kept(ground, mount, _serial(leaked)) == leaked}
    else:
        kept = _by_serial(ground, mounts, value)
        leaked = next(iter(kept.values()))
    if leaked.not_valid_after_utc <= datetime.now(UTC):
        raise Gone(f"{_FLAG} {value}: it expired on {leaked.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: nobody takes it")
    known = [one for mount in mounts for one in issuers(ground, mount)]
    own = [one for one in known if one.certificate == leaked]
    parents = [one for one in known if one.certificate != leaked and signed(leaked, one.certificate)]
    if not own and not parents:
        raise Gone(f"{_FLAG} {value}: {leaked.issuer.rfc4514_string()} issued it, and is no issuer on this server")
    found = Scope(singles=tuple(_certificate(ground, leaked, one, one.mount in kept) for one in _once(parents)))
    for one in own:
        found += _issuer(ground, one)
    return found + Scope(notes=tuple(_notes(leaked, own, parents)))


def _once(parents: Sequence[Issuer]) -> list[Issuer]:
    """One issuer a mount: those that share a key share the list of what is revoked."""
    return list({one.mount: one for one in reversed(parents)}.values())


def _in_file(value: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(said.text(_FLAG, value).encode())[0]
    except ValueError as error:
        raise StrongroomError(f"{_FLAG} {value}: there is no certificate in PEM in it") from error


def _by_serial(ground: Ground, mounts: Sequence[str], value: str) -> dict[str, x509.Certificate]:
    """Where a serial is kept; two mounts may each have a certificate with it, and only one is meant."""
    named = [mount for mount in mounts if value.startswith(f"{mount}:")]
    serial = value[len(max(named, key=len)) + 1 :] if named else value
    if not _SERIAL.fullmatch(serial):
        raise StrongroomError(f"{_FLAG} {value}: write a serial such as 1f:0a:.., MOUNT:SERIAL, or file:PATH")
    digits = serial.replace(":", "").replace("-", "").lower()
    colons = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    found = {mount: one for mount in named or mounts if (one := _kept(ground, mount, colons))}
    if not found:
        raise Gone(
            f"{_FLAG} {value}: no mount keeps it: {', '.join(named or mounts)}; it is tidied away, or its role keeps "
            "none: then name it by file:PATH"
        )
    if len(set(found.values())) > 1:
        raise StrongroomError(
            f"{_FLAG} {value}: {' and '.join(found)} each have one with this serial; write MOUNT:SERIAL"
        )
    return found


def _kept(ground: Ground, mount: str, serial: str) -> x509.Certificate | None:
    found = ground.server.read(f"{mount}/cert/{serial}")
    return x509.load_pem_x509_certificate(found["certificate"].encode()) if found else None


def _serial(one: x509.Certificate) -> str:
    raw = one.serial_number.to_bytes((one.serial_number.bit_length() + 7) // 8 or 1, "big")
    return raw.hex(":")


def _certificate(ground: Ground, leaked: x509.Certificate, parent: Issuer, is_kept: bool) -> Credential:  # noqa: FBT001
    """By its serial where the mount keeps it, else by all of it."""
    serial, mount = _serial(leaked), parent.mount

    def filled(text: str, **more: str) -> str:
        return text.format(mount=mount, **more)

    found = made(ground, REVOCATION, f"secrets/{mount}", filled, serial)
    body = {"serial_number": serial} if is_kept else {"certificate": pem(leaked)}
    look = Look(found.look.ask, lives=("status 404",), flag=found.look.flag)
    end = Ask("POST", f"{mount}/revoke", body, ground.namespace)
    return Credential(
        found.what,
        found.id,
        found.namespace,
        found.source,
        end,
        look,
        facts(leaked),
        proof=found.proof,
        then=found.then,
    )


def pem(one: x509.Certificate) -> str:
    return one.public_bytes(serialization.Encoding.PEM).decode()


def facts(one: x509.Certificate) -> dict[str, Json]:
    """What is told of a certificate, and what its proof needs."""
    return {
        "subject": one.subject.rfc4514_string(),
        "serial": _serial(one),
        "expires": one.not_valid_after_utc.isoformat(),
        "issuer": one.issuer.rfc4514_string(),
        "authority": authority(one),
    }


def authority(one: x509.Certificate) -> str:
    """The key that signed it, as it says itself; empty where it does not."""
    try:
        found = one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return ""
    return (found or b"").hex()


def _issuer(ground: Ground, one: Issuer) -> Scope:
    """The issuer signs nothing more, nor does any role of its mount."""
    path = f"{one.mount}/issuer/{one.id}"
    single = Credential(
        "issuer",
        path,
        ground.namespace,
        f"secrets/{one.mount}",
        Ask("POST", f"{path}/revoke", None, ground.namespace),
        Look(Ask("GET", path, None, ground.namespace), flag="data.revoked"),
        facts(one.certificate),
        proof="orchestrator.incident.proofs.pki:powerless",
        then=Ask("GET", f"{one.mount}/crl/rotate", None, ground.namespace),
    )
    return Scope(closes=origins.shut_all(ground, "secrets", one.mount), singles=(single,))


def _notes(leaked: x509.Certificate, own: Sequence[Issuer], parents: Sequence[Issuer]) -> Iterator[str]:
    name = leaked.subject.rfc4514_string()
    if not is_authority(leaked):
        return
    print_ = leaked.fingerprint(hashes.SHA256()).hex(":")
    yield f"{name}: whoever has its key signs what nobody sees here: {_BY_HAND} (SHA-256 {print_})"
    if any(one.is_root for one in own):
        yield f"{name} is a root: no list can revoke it, only the trust stores"
    elif not parents:
        yield f"{name}: {leaked.issuer.rfc4514_string()} issued it and is not on this server: have it revoked there"


def is_authority(one: x509.Certificate) -> bool:
    try:
        return bool(one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False
