"""PGP public keys, as far as one has to know them before shares are encrypted to them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC, _PUBLIC_SUBKEY, _SECRET, _SIGNATURE = 6, 14, (5, 7), 2
_ENCRYPTING = {1, 2, 16, 18, 25, 26}  # RSA, ElGamal, ECDH, X25519, X448
_FLAGS, _LIFETIME = 27, 9  # subpackets of a signature
_MAY_ENCRYPT = 0x04 | 0x08
_SELF, _BINDING, _REVOKED = {0x10, 0x11, 0x12, 0x13, 0x1F}, 0x18, {0x20, 0x28}
_OLD, _PARTIAL = 0xC0, 224
_LENGTHS = {0: 1, 1: 2, 2: 4}


class NoPublicKeyError(ValueError):
    """What is wrong with the content of a file that should be a public key."""


@dataclass
class _Key:
    """A key or a subkey while its signatures are read."""

    algorithm: int
    made: int
    flags: int | None = None
    ends: int | None = None
    revoked: bool = False

    @property
    def encrypts(self) -> bool:
        able = self.algorithm in _ENCRYPTING and not self.revoked
        return able and (self.flags is None or bool(self.flags & _MAY_ENCRYPT))


@dataclass(frozen=True)
class Public:
    """A key that can be encrypted to; `ends` is when it no longer may be, in seconds since 1970."""

    content: bytes
    ends: int | None

    @property
    def text(self) -> str:
        """As servers take it."""
        return base64.b64encode(self.content).decode()


def public(content: bytes) -> Public:
    """The key in a file, armoured or not; NoPublicKeyError where there is none that shares can be encrypted to."""
    data = _bare(content)
    try:
        keys = _keys(data)
    except (IndexError, KeyError) as error:
        raise NoPublicKeyError("is damaged") from error
    if keys[0].revoked:
        raise NoPublicKeyError("is revoked")
    able = [one for one in keys if one.encrypts]
    if not able:
        raise NoPublicKeyError("can sign and not be encrypted to; add a subkey for encryption")
    ends = [one.ends for one in able]
    last = None if None in ends else max(one for one in ends if one is not None)
    return Public(data, min((one for one in (keys[0].ends, last) if one is not None), default=None))


def _bare(content: bytes) -> bytes:
    text = content.decode("ascii", errors="replace")
    if "-----BEGIN PGP PRIVATE KEY BLOCK-----" in text:
        raise NoPublicKeyError("holds a private key; export the public one alone: gpg --export --armor NAME")
    if _BEGIN not in text:
        return content
    body = text.partition(_BEGIN)[2].partition(_END)[0]
    lines = [line.strip() for line in body.strip("\r\n").splitlines()]
    start = lines.index("") + 1 if "" in lines else 0
    try:
        joined = "".join(line for line in lines[start:] if not line.startswith("="))
        return base64.b64decode(joined, validate=True)
    except binascii.Error as error:
        raise NoPublicKeyError("is damaged") from error


def _keys(data: bytes) -> list[_Key]:
    """The key and its subkeys."""
    keys: list[_Key] = []
    for tag, body in _packets(data):
        if tag in _SECRET:
            raise NoPublicKeyError("holds a private key; export the public one alone: gpg --export --armor NAME")
        if not keys and tag != _PUBLIC:
            break
        if tag == _PUBLIC and keys:
            raise NoPublicKeyError("holds several keys; export one alone")
        if tag in {_PUBLIC, _PUBLIC_SUBKEY}:
            keys.append(_Key(body[5], int.from_bytes(body[1:5], "big")))
        elif tag == _SIGNATURE:
            _sign(keys, body)
    if not keys:
        raise NoPublicKeyError("is no PGP public key; write what `gpg --export --armor NAME` prints")
    return keys


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise NoPublicKeyError("is no PGP public key; write what `gpg --export --armor NAME` prints")
        if head & _OLD == _OLD:
            tag, (size, used) = head & 0x3F, _length(data, at + 1)
        else:
            tag, used = head >> 2 & 0x0F, _LENGTHS[head & 3]
            size = int.from_bytes(data[at + 1 : at + 1 + used], "big")
        begin = at + 1 + used
        if begin + size > len(data):
            raise NoPublicKeyError("is damaged")
        yield tag, data[begin : begin + size]
        at = begin + size


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length of the new form, and how many bytes tell it."""
    first = data[at]
    if first < 192:  # noqa: PLR2004 - the format's own numbers
        return first, 1
    if first < _PARTIAL:
        return ((first - 192) << 8) + data[at + 1] + 192, 2
    if first < 255:  # noqa: PLR2004
        raise NoPublicKeyError("is damaged")
    return int.from_bytes(data[at + 1 : at + 5], "big"), 5


def _sign(keys: list[_Key], body: bytes) -> None:
    """What a signature says of the key before it."""
    if not keys or body[0] != 4:  # noqa: PLR2004 - older ones say nothing of it
        return
    kind, key = body[1], keys[-1]
    if kind in _REVOKED:
        key.revoked = True
    if not (kind == _BINDING or (kind in _SELF and len(keys) == 1)):
        return
    found = dict(_subpackets(body[6 : 6 + int.from_bytes(body[4:6], "big")]))
    if _FLAGS in found:
        key.flags = found[_FLAGS][0]
    if _LIFETIME in found and (lifetime := int.from_bytes(found[_LIFETIME], "big")):
        key.ends = key.made + lifetime


def _subpackets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        size, used = _length(data, at)
        yield data[at + used] & 0x7F, data[at + used + 1 : at + used + size]
        at += used + size
