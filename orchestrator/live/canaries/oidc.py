"""OIDC: the server finds its provider, and sends people there as the declared client."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from orchestrator.live.canaries.trial import Failed, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Declaration
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_WHAT = "ask where to log in, at the provider as the declared client (no real login)"


def trials(mount: Mount) -> Iterator[Trial]:
    """One a role by which people log in."""
    client = next((str(one.spec["config"]["oidc_client_id"]) for one in mount.itself), "")
    for role in mount.declared("roles"):
        if role.spec.get("role_type", "oidc") == "oidc":
            yield Trial(role.title, _WHAT, partial(_prove, mount.server, role, client))


def _prove(server: Server, role: Declaration, client: str) -> None:
    for uri in role.spec["allowed_redirect_uris"]:
        body = {"role": role.name, "redirect_uri": uri}
        there = server.as_token("").write(f"auth/{role.mount}/oidc/auth_url", body).get("auth_url")
        if not there:
            why = f"its provider does not answer, or the live role refuses {uri}"
            raise Failed(f"the server does not say where to log in: {why}; the server's log tells which")
        named = parse_qs(urlsplit(there).query).get("client_id", [""])[0]
        if named != client:
            raise Failed(f"people are sent to the provider as the client {named}, not as {client}")
