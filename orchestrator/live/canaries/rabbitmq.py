"""RabbitMQ: a user that the server makes is let in by the management API, and no more once its lease is revoked."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.live.canaries import lease
from orchestrator.live.canaries.trial import Failed, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_WHAT = "make a user, log in with it, revoke it, be refused"
_PATIENCE = 5.0
_KNOWN = "Not management user"  # the password is right, and the user has no tag


def trials(mount: Mount) -> Iterator[Trial]:
    (itself,) = mount.itself
    for role in mount.declared("roles"):
        path = f"{role.mount}/creds/{role.name}"
        yield Trial(role.title, _WHAT, partial(_prove, mount.server, path, str(itself.spec["connection_uri"])))


def _prove(server: Server, path: str, address: str) -> None:
    with lease.leased(server, path) as user:
        if refused := _refusal(address, user.data):
            raise Failed(f"user {user.data['username']} cannot log in: {refused}")
    if not _refusal(address, user.data):
        raise Failed(f"user {user.data['username']} still logs in after its lease was revoked: delete it by hand")


def _refusal(address: str, user: Mapping[str, Json]) -> str:
    """Why the management API does not know the user by this password; empty when it does."""
    status, said = _asked(address, f"{user['username']}:{user['password']}")
    if status == http.HTTPStatus.OK or _KNOWN in said:
        return ""
    if status != http.HTTPStatus.UNAUTHORIZED:
        raise Failed(f"{address} answers with status {status}: {said}")
    return said


def _asked(address: str, credentials: str) -> tuple[int, str]:
    parts = urlsplit(address)
    headers = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
    link = _link(parts.scheme, parts.hostname or "", parts.port)
    try:
        link.request("GET", f"{parts.path.rstrip('/')}/api/whoami", headers=headers)
        reply = link.getresponse()
        return reply.status, _reason(reply.read())
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{address} does not answer: {error}") from None
    finally:
        link.close()


def _link(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=_PATIENCE)


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body).get("reason", ""))
    except (ValueError, AttributeError):
        return body.decode(errors="replace")[:200]
