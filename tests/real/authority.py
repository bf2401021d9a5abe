"""A certificate authority of a test's own."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

_DAY = timedelta(days=1)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@dataclass(frozen=True)
class Authority:
    name: str = "Test Authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    @property
    def pem(self) -> str:
        return _pem(self._signed(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None)))

    def issue(self, name: str) -> tuple[str, str]:
        """A certificate for a client of that name, or for a server on the loopback; and its key."""
        key = _key()
        loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        return _pem(self._signed(name, key, loopback, usage)), _key_pem(key)

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        made = x509.CertificateBuilder(_named(self.name), _named(name), key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(now - _DAY).not_valid_after(now + _DAY)
        for one in extensions:
            made = made.add_extension(one, critical=isinstance(one, x509.BasicConstraints))
        return made.sign(self.key, hashes.SHA256())
