"""Redis: a login by its own protocol, of which one request is enough."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.documents import Json, Spec

REFUSED = "WRONGPASS"
_PATIENCE = 5.0
_PORT = 6379


def connect(spec: Spec, account: Mapping[str, Json]) -> None:
    """Log in at the declared address with this account; the error says why not, without the password."""
    user = str(account["username"])
    try:
        answer = _asked(spec, ("AUTH", user, str(account["password"])))
    except OSError as error:
        raise Failed(f"account {user} cannot connect: {error}") from None
    if not answer.startswith("+OK"):
        raise Failed(f"account {user} cannot connect: {answer.strip()}")


def _asked(spec: Spec, words: tuple[str, ...]) -> str:
    """The first line that the server answers to a command."""
    with _link(spec) as link:
        link.sendall(_command(words))
        return link.makefile("rb").readline().decode(errors="replace")


def _link(spec: Spec) -> socket.socket:
    host = str(spec["host"])
    plain = socket.create_connection((host, int(spec.get("port", _PORT))), _PATIENCE)
    if not spec.get("tls", True):
        return plain
    context = ssl.create_default_context(cadata=spec.get("ca_cert") or None)
    if spec.get("insecure_tls"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with plain:  # which is the wrapped one's from then on, and shut when that cannot be made
        return context.wrap_socket(plain, server_hostname=host)


def _command(words: tuple[str, ...]) -> bytes:
    r"""A command as Redis reads it.

    >>> _command(("PING",))
    b'*1\r\n$4\r\nPING\r\n'
    """
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
