"""AppRole: log in with a SecretID that came wrapped."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.login import prove_login
from orchestrator.live.canaries.trial import Failed, Trial, cleaning
from orchestrator.live.server import Rejected
from orchestrator.shapes import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json, Spec
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_TTL = 60
_WRAPPED = "login with a response-wrapped SecretID, revoke the token"
_BARE = "login with the RoleID alone, revoke the token"


def trials(mount: Mount) -> Iterator[Trial]:
    for role in mount.declared("roles"):
        what = _WRAPPED if role.spec.get("bind_secret_id", True) else _BARE
        yield Trial(role.title, what, partial(_prove, mount.server, role))


def _prove(server: Server, role: Declaration) -> None:
    path = f"auth/{role.mount}/role/{role.name}"
    known = server.read(f"{path}/role-id")
    if known is None:
        raise Failed("the role is not there")
    body = {"role_id": known["role_id"]}
    if not role.spec.get("bind_secret_id", True):
        _login(server, role, body)
        return
    secret_id = _secret_id(server, path, role.spec)
    with cleaning(partial(server.write, f"{path}/secret-id/destroy", {"secret_id": secret_id}), "a SecretID"):
        _login(server, role, {**body, "secret_id": secret_id})


def _secret_id(server: Server, path: str, spec: Spec) -> str:
    """A SecretID by way of its wrapping, as an application gets it; one that is never unwrapped expires soon."""
    ttl = min(_TTL, seconds(spec.get("secret_id_ttl")) or _TTL)
    wrapped = server.write(f"{path}/secret-id", {"ttl": f"{ttl}s", "num_uses": 1}, wrap=f"{_TTL}s")
    with cleaning(partial(_end, server, wrapped["accessor"]), "a wrapping token"):
        made_by = server.as_token("").write("sys/wrapping/lookup", {"token": wrapped["token"]}, again=True)[
            "creation_path"
        ]
        if made_by != f"{path}/secret-id":
            raise Failed(f"the wrapping was made at {made_by}, not at {path}/secret-id")
        return str(server.as_token(wrapped["token"]).write("sys/wrapping/unwrap", {})["secret_id"])


def _end(server: Server, accessor: str) -> None:
    """Revoke a wrapping token that was not unwrapped; one that was is gone."""
    with suppress(Rejected):
        server.write("auth/token/revoke-accessor", {"accessor": accessor}, again=True)


def _login(server: Server, role: Declaration, body: Mapping[str, Json]) -> None:
    try:
        prove_login(server, f"auth/{role.mount}/login", body, role.spec)
    except Rejected as error:
        cidrs = role.spec.get("secret_id_bound_cidrs")
        if "CIDR" in error.words and cidrs:
            raise Failed(f"secret_id_bound_cidrs {', '.join(cidrs)} exclude this host") from None
        raise
