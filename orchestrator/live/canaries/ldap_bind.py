"""A simple bind, the one thing that canaries ask of a directory."""

from __future__ import annotations

import io
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

from orchestrator.live.canaries.trial import Failed

_PATIENCE = 10.0
_PORTS = {"ldap": 389, "ldaps": 636}
_START_TLS = b"1.3.6.1.4.1.1466.20037"
_WRONG_PASSWORD = 49
_LONG = 0x80  # from here on, BER counts the bytes of a length first


@dataclass(frozen=True)
class Directory:
    """Where a directory is, and how far it is trusted."""

    url: str
    certificate: str = ""
    starttls: bool = False
    insecure: bool = False

    def binds(self, name: str, password: str) -> bool:
        """Whether it takes the password for the name."""
        try:
            with closing(self._connected()) as connection:
                code, words = _asked(connection, _tlv(0x60, _integer(3) + _tlv(0x04, name) + _tlv(0x80, password)))
        except OSError as error:
            raise Failed(f"{self.url} cannot be reached from here: {error}") from error
        if code not in (0, _WRONG_PASSWORD):
            raise Failed(f"{self.url} answers the bind of {name} with code {code}: {words}")
        return code == 0

    def _connected(self) -> socket.socket:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        connection = socket.create_connection((host, port), _PATIENCE)
        if self.starttls and _asked(connection, _tlv(0x77, _tlv(0x80, _START_TLS)))[0]:
            connection.close()
            raise Failed(f"{self.url} refuses StartTLS")
        secure = self.starttls or parts.scheme == "ldaps"
        return self._trust().wrap_socket(connection, server_hostname=host) if secure else connection

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.certificate or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _tlv(tag: int, content: bytes | str) -> bytes:
    r"""A value in BER.

    >>> _tlv(4, "ab")
    b'\x04\x02ab'
    """
    body = content.encode() if isinstance(content, str) else content
    size = len(body).to_bytes(4, "big").lstrip(b"\0") or b"\0"
    return bytes([tag]) + (size if len(body) < _LONG else bytes([_LONG | len(size)]) + size) + body


def _integer(value: int) -> bytes:
    return _tlv(0x02, bytes([value]))


def _asked(connection: socket.socket, operation: bytes) -> tuple[int, str]:
    """The code and the words of the answer to one operation."""
    connection.sendall(_tlv(0x30, _integer(1) + operation))
    with connection.makefile("rb") as stream:
        if not stream.read(1):
            raise ConnectionError("it hangs up")
        message = stream.read(_size(stream))
    _, (_, answer), *_ = _series(message)
    (_, code), _, (_, words), *_ = _series(answer)
    return int.from_bytes(code, "big"), words.decode(errors="replace")


def _series(data: bytes) -> list[tuple[int, bytes]]:
    r"""The values that follow each other in BER, each with its tag.

    >>> _series(b"\x0a\x01\x00\x04\x02ab")
    [(10, b'\x00'), (4, b'ab')]
    """
    stream, found = io.BytesIO(data), []
    while tag := stream.read(1):
        found.append((tag[0], stream.read(_size(stream))))
    return found


def _size(stream: IO[bytes]) -> int:
    first = stream.read(1)[0]
    return first if first < _LONG else int.from_bytes(stream.read(first & ~_LONG), "big")
