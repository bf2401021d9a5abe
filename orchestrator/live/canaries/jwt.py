"""JWT: a forged token is refused for its signature, so the mount has the keys to judge one."""

from __future__ import annotations

import base64
import json
import secrets
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, Trial
from orchestrator.live.server import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.documents import Json
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_WHAT = "a forged token is refused for its signature (no real login)"
_REFUSED = "signature"
_NO_KEYS = "fetching keys"


def trials(mount: Mount) -> Iterator[Trial]:
    """One for the mount, by any role that takes tokens."""
    roles = [role.name for role in mount.declared("roles") if role.spec.get("role_type", "jwt") == "jwt"]
    for one in mount.itself:
        if roles:
            config = one.spec.get("config") or {}
            yield Trial(one.title, _WHAT, partial(_prove, mount.server, f"auth/{mount.name}/login", roles[0], config))


def _prove(server: Server, path: str, role: str, config: Mapping[str, Json]) -> None:
    try:
        server.as_token("").write(path, {"role": role, "jwt": _forged(config)})
    except Rejected as error:
        if _REFUSED in error.words and _NO_KEYS not in error.words:
            return
        raise
    raise Failed("a forged token is accepted")


def _forged(config: Mapping[str, Json]) -> str:
    algorithm = (config.get("jwt_supported_algs") or ["RS256"])[0]
    claims = {"iss": config.get("bound_issuer", ""), "sub": "strongroom-canary"}
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (json.dumps({"alg": algorithm}).encode(), json.dumps(claims).encode(), secrets.token_bytes(64))
    )
