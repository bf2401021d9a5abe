"""A leaked SSH certificate, key or CA: the server keeps nothing of what it signed, so hosts are told by a KRL."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from orchestrator.errors import StrongroomError
from orchestrator.incident import origins
from orchestrator.incident.kinds import said
from orchestrator.incident.model import UNSEEN, Credential, Gone, Scope
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground

_FLAG = "--ssh-key"
_WAYS = "write file:PATH, MOUNT:serial=N, MOUNT:id=KEY-ID, SHA256:FINGERPRINT, or the MOUNT of a CA"
_NAMED = re.compile(r"(?P<mount>.+?):(?P<what>serial|id)=(?P<value>.+)")
_NO_CA = ("keys haven't been configured yet", "no default issuer currently configured")
_DIGEST = 32
_ON_HOSTS = (
    "hosts refuse it only once they load the incident's revoked.krl: put it where RevokedKeys of their sshd_config "
    "points, and for the certificate of a host where RevokedHostKeys of ssh_config does"
)


def scope(ground: Ground, mounts: Sequence[str], value: str) -> Scope:
    """What goes into the KRL; a CA's roles are shut besides."""
    if value.startswith("file:"):
        found = Scope(singles=tuple(_in_file(ground, mounts, value)))
    elif value.startswith("SHA256:"):
        found = Scope(singles=(_print(ground, value),))
    elif named := _NAMED.fullmatch(value):
        found = Scope(singles=(_numbered(ground, mounts, named["mount"], named["what"], named["value"]),))
    elif value.strip("/") in mounts:
        found = _authority(ground, value.strip("/"))
    else:
        raise StrongroomError(f"{_FLAG} {value}: {_WAYS}; the mounts are: {', '.join(mounts)}")
    return found + Scope(notes=(_ON_HOSTS,))


def _in_file(ground: Ground, mounts: Sequence[str], value: str) -> Iterator[Credential]:
    """Each certificate and each key of a file, one a line as ssh-keygen writes them."""
    lines = [line.strip() for line in said.text(_FLAG, value).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise StrongroomError(f"{_FLAG} {value}: there is no key in it")
    for line in lines:
        try:
            found = serialization.load_ssh_public_identity(line.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise StrongroomError(f"{_FLAG} {value}: this is no public key or certificate of OpenSSH") from error
        if isinstance(found, serialization.SSHCertificate):
            yield _certificate(ground, mounts, value, line, found)
        else:
            yield _key(ground, "SSH key", line, value)


def _certificate(
    ground: Ground, mounts: Sequence[str], value: str, line: str, one: serialization.SSHCertificate
) -> Credential:
    """By its serial, or by its key id where it has none, and by its key, as that is what leaked."""
    ends = datetime.fromtimestamp(one.valid_before, UTC) if one.valid_before < 2**62 else None
    if ends and ends <= datetime.now(UTC):
        raise Gone(f"{_FLAG} {value}: it expired on {ends:%Y-%m-%d %H:%M} UTC: no host takes it")
    authority, key = _blob(_public(one.signature_key())), _blob(_public(one.public_key()))
    by = ["serial", authority, one.serial] if one.serial else ["id", authority, _base64(one.key_id)]
    mount = next((name for name in mounts if authority in map(_blob, _authorities(ground, name))), "")
    facts = {
        "key_id": one.key_id.decode(errors="replace"),
        "principals": [name.decode(errors="replace") for name in one.valid_principals],
        "expires": ends.isoformat() if ends else "never",
        "public": line,
    }
    name = f"serial {one.serial}" if one.serial else f"key id {facts['key_id']}"
    source = f"secrets/{mount}" if mount else "a CA that is not on this server"
    return _single(ground, "SSH certificate", f"{name} of {_printed(authority)}", source, [by, ["key", "", key]], facts)


def _public(key: serialization.SSHCertPublicKeyTypes) -> str:
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _blob(line: str) -> str:
    """The key itself of a line, in base64."""
    return line.split()[1]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _printed(blob: str) -> str:
    """As ssh-keygen -l prints a key."""
    return f"SHA256:{_base64(hashlib.sha256(base64.b64decode(blob)).digest()).rstrip('=')}"


def _key(ground: Ground, what: str, line: str, source: str) -> Credential:
    blob = _blob(line)
    return _single(ground, what, _printed(blob), source, [["key", "", blob]], {"public": line})


def _print(ground: Ground, value: str) -> Credential:
    text = value.removeprefix("SHA256:")
    try:
        digest = base64.b64decode(f"{text}{'=' * (-len(text) % 4)}", validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != _DIGEST:
        raise StrongroomError(f"{_FLAG} {value}: no fingerprint of SHA-256; ssh-keygen -l prints one of a key")
    return _single(ground, "SSH key", value, "a fingerprint", [["print", "", _base64(digest)]], {})


def _numbered(ground: Ground, mounts: Sequence[str], mount: str, what: str, value: str) -> Credential:
    """A certificate that only its serial or its key id tells of, under every CA of the mount."""
    if mount not in mounts:
        raise Gone(f"{_FLAG} {mount}:{what}={value}: there is no such mount; there are: {', '.join(mounts)}")
    said_: Json = _serial(f"{mount}:{what}={value}", value) if what == "serial" else _base64(value.encode())
    found = [[what, _blob(one), said_] for one in _authorities(ground, mount)]
    if not found:
        raise Gone(f"{_FLAG} {mount}:{what}={value}: {mount} has no CA, so it signed nothing")
    name = f"serial {said_}" if what == "serial" else f"key id {value}"
    return _single(ground, "SSH certificate", f"{name} of {mount}", f"secrets/{mount}", found, {})


def _serial(said_: str, value: str) -> int:
    """Decimal as ssh-keygen prints it, or in hex as the server does."""
    try:
        number = int(value, 16) if value.startswith("0x") or not value.isdecimal() else int(value)
    except ValueError as error:
        raise StrongroomError(f"{_FLAG} {said_}: write the serial as 123, or as 0x1f in hex") from error
    if not 0 < number < 2**64:
        raise StrongroomError(f"{_FLAG} {said_}: no serial that a KRL can hold; name it by MOUNT:id=KEY-ID")
    return number


def _authorities(ground: Ground, mount: str) -> list[str]:
    """The public keys by which a mount signs, or signed."""
    try:
        names = ground.server.list(f"{mount}/issuers")
    except Rejected:  # servers with one CA a mount know no issuers
        names = ()
    paths = [f"{mount}/issuer/{name}" for name in names] or [f"{mount}/config/ca"]
    found = (ground.server.read(path, _NO_CA) for path in paths)
    return [str(one["public_key"]) for one in found if one]


def _authority(ground: Ground, mount: str) -> Scope:
    """The CA's key itself: with it in the KRL, nothing that it signed logs in."""
    title = f"secrets/{mount}"
    singles = [_key(ground, "SSH CA", line, title) for line in _authorities(ground, mount)]
    if not singles:
        raise Gone(f"{_FLAG} {mount}: it has no CA")
    note = (
        f"{title}: NOTHING that its CA signed logs in any more once hosts load the KRL; make a new CA, and have hosts "
        "trust that one by hand: TrustedUserCAKeys of sshd_config, and @cert-authority of known_hosts"
    )
    return Scope(closes=origins.shut_all(ground, "secrets", mount), singles=tuple(singles), notes=(note,))


def _single(
    ground: Ground, what: str, id_: str, source: str, entries: list[Json], facts: dict[str, Json]
) -> Credential:
    return Credential(
        what,
        id_,
        ground.namespace,
        source,
        None,
        UNSEEN,
        {**facts, "entries": entries},
        proof="orchestrator.incident.proofs.ssh:listed",
        stays="it is in the KRL, which hosts have to load",
        file="orchestrator.incident.hosts:write",
    )
