"""Keys that sign evidence, a transit key of the server or an ed25519 key in a file; whether a signature is right."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from orchestrator.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.documents import Json
    from orchestrator.live.server import Server

Public = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
ED25519, ECDSA, RSA = "ed25519", "ecdsa-sha256", "rsa-pss-sha256"
_WAYS = "write transit:MOUNT/KEY, or file:PATH of an ed25519 private key"


@dataclass(frozen=True)
class Signer:
    """A key that signs, and its public half."""

    key: str  # as --sign names it
    public: Public
    sign: Callable[[bytes], bytes] = field(repr=False)

    def document(self) -> dict[str, str]:
        return {"key": self.key, "algorithm": algorithm(self.public), "fingerprint": fingerprint(self.public)}


def _transit(way: str) -> tuple[str, str] | None:
    """The mount and the key that a way names on a server."""
    sort, _, rest = way.partition(":")
    mount, _, name = rest.rpartition("/")
    return (mount, name) if sort == "transit" and mount and name else None


def rights(way: str) -> tuple[tuple[str, str], ...]:
    """What a token needs to sign: paths, each with a capability."""
    place = _transit(way)
    return ((f"{place[0]}/keys/{place[1]}", "read"), (f"{place[0]}/sign/{place[1]}", "update")) if place else ()


def signer(way: str, server: Server | None) -> Signer:
    """The key that --sign names; without a server only one in a file."""
    sort, _, rest = way.partition(":")
    if sort == "file" and rest:
        return _in_file(way, Path(rest).expanduser())
    place = _transit(way)
    if place is None:
        raise StrongroomError(f"--sign {way}: this names no key; {_WAYS}")
    if server is None:
        raise StrongroomError(f"--sign {way}: only a server signs with it; name the --environment that it belongs to")
    return _on_server(way, server, *place)


def _in_file(way: str, path: Path) -> Signer:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StrongroomError(f"--sign {way}: {error.strerror}") from None
    load = serialization.load_ssh_private_key if b"OPENSSH" in content else serialization.load_pem_private_key
    try:
        key = load(content, password=None)
    except TypeError:
        problem = "the key has a passphrase, which nobody may be there to type; name one without"
    except (ValueError, UnsupportedAlgorithm):
        problem = "there is no private key in it that can be read; PEM and OpenSSH are"
    else:
        if isinstance(key, Ed25519PrivateKey):
            return Signer(way, key.public_key(), key.sign)
        problem = "this is no ed25519 key; make one: openssl genpkey -algorithm ed25519"
    raise StrongroomError(f"--sign {way}: {problem}")


def _on_server(way: str, server: Server, mount: str, name: str) -> Signer:
    found = server.read(f"{mount}/keys/{name}")
    if found is None:
        raise StrongroomError(f"--sign {way}: there is no key {name} on {mount}")
    version = int(found["latest_version"])
    said = (found["keys"] or {}).get(str(version))
    public = _transit_key(said.get("public_key", "") if isinstance(said, dict) else "")
    if public is None or found.get("derived"):
        raise StrongroomError(
            f"--sign {way}: a key of type {found['type']} cannot sign evidence; ed25519, ecdsa and rsa keys can, "
            "which are not derived"
        )
    body: dict[str, Json] = {"key_version": version}
    if not isinstance(public, Ed25519PublicKey):
        body |= {"hash_algorithm": "sha2-256", "marshaling_algorithm": "asn1", "signature_algorithm": "pss"}

    def sign(content: bytes) -> bytes:
        path = f"{mount}/sign/{name}"
        answer = server.write(path, {**body, "input": base64.b64encode(content).decode()})
        return base64.b64decode(str(answer["signature"]).rpartition(":")[2])

    return Signer(way, public, sign)


def _transit_key(said: str) -> Public | None:
    """A public key as transit shows it: PEM, but for ed25519 its bytes in base64."""
    if said.startswith("-----"):
        return _usable(said)
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(said, validate=True)) if said else None
    except (ValueError, binascii.Error):
        return None


def _usable(text: str) -> Public | None:
    try:
        found = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, (Ed25519PublicKey, ec.EllipticCurvePublicKey, rsa.RSAPublicKey)) else None


def public_key(text: str, where: str) -> Public:
    """The public key of a PEM text."""
    found = _usable(text)
    if found is None:
        raise StrongroomError(f"{where}: there is no public key in it; a PEM of ed25519, ecdsa or rsa is expected")
    return found


def pem(key: Public) -> str:
    made = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return made.decode()


def fingerprint(key: Public) -> str:
    """The SHA-256 of the key in DER, as `openssl pkey -pubin -outform DER | sha256sum` tells it."""
    made = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(made).hexdigest()


def algorithm(key: Public) -> str:
    if isinstance(key, Ed25519PublicKey):
        return ED25519
    return ECDSA if isinstance(key, ec.EllipticCurvePublicKey) else RSA


def is_right(key: Public, signature: bytes, content: bytes) -> bool:
    """Whether the key's owner signed exactly this."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, content)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(
                signature, content, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), hashes.SHA256()
            )
    except InvalidSignature:
        return False
    return True
