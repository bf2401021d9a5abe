"""What every new token has to prove: it has what is declared, and is refused once it is revoked."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.live.canaries.trial import Failed, cleaning
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.documents import Json, Spec
    from orchestrator.live.server import Server


def prove_login(server: Server, path: str, body: Mapping[str, Json], spec: Spec) -> None:
    """Log in, see that the token is as declared, revoke it, and see it refused."""
    auth = server.as_token("").write(path, body)
    if not auth.get("client_token"):
        raise Failed("the login gives no token; a second factor is asked, which a canary has not")
    prove_token(server, auth, spec)


def prove_stranger_refused(server: Server, mount: str, refused: str) -> None:
    """Log in as nobody there is; `refused` are the server's words for that, unlike those for what does not work."""
    name, password = f"strongroom-canary-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    try:
        server.as_token("").write(f"auth/{mount}/login/{name}", {"username": name, "password": password})
    except Rejected as error:
        if refused in error.words:
            return
        raise
    raise Failed("a stranger is let in")


def prove_token(
    server: Server, auth: Mapping[str, Json], spec: Spec, check: Callable[[Mapping[str, Json]], None] = lambda _: None
) -> None:
    """See that a new token is as declared, revoke it, and see it refused."""
    with cleaning(lambda: _revoke(server, auth), "a token"):
        live = _lookup(server, auth, spec)
        _check(live, spec, server)
        check(live)
    if auth.get("accessor"):
        _prove_refused(server, auth)


def _speaks(auth: Mapping[str, Json]) -> bool:
    """Whether the token may look itself up, and is not used up by that."""
    return "default" in auth.get("policies", ()) and not auth.get("num_uses")


def _lookup(server: Server, auth: Mapping[str, Json], spec: Spec) -> Mapping[str, Json]:
    if not _speaks(auth):
        return (
            server.write("auth/token/lookup-accessor", {"accessor": auth["accessor"]}, again=True)
            if auth["accessor"]
            else auth
        )
    try:
        return server.as_token(auth["client_token"]).read("auth/token/lookup-self") or {}
    except Denied as error:
        cidrs = spec.get("token_bound_cidrs")
        why = f"token_bound_cidrs {', '.join(cidrs)} exclude this host" if cidrs else str(error)
        raise Failed(f"the new token is refused: {why}") from None


def _check(live: Mapping[str, Json], spec: Spec, server: Server) -> None:
    declared = {str(name).lower() for name in spec.get("token_policies") or ()}
    held = set(live.get("token_policies") or live.get("policies") or ())  # the login's `policies` has identity's too
    if declared - held:
        raise Failed(f"the token lacks {_names(declared - held)}; it has {_names(held)}")
    if extra := held - declared - {"default"}:
        raise Failed(f"the token has {_names(extra)}, which is not declared")
    if none := {name for name in declared if name != "root" and server.read(f"sys/policies/acl/{name}") is None}:
        raise Failed(f"the token names {_names(none)}, which is not there: it gives nothing")


def _names(policies: set[str]) -> str:
    return f"the {'policy' if len(policies) == 1 else 'policies'} {', '.join(sorted(policies)) or 'none'}"


def _revoke(server: Server, auth: Mapping[str, Json]) -> None:
    """Batch tokens cannot be revoked, they expire. The accessor serves where the token itself may not speak."""
    if not auth.get("accessor"):
        return
    if _speaks(auth):
        with suppress(Denied):
            server.as_token(auth["client_token"]).write("auth/token/revoke-self", {}, again=True)
            return
    server.write("auth/token/revoke-accessor", {"accessor": auth["accessor"]}, again=True)


def _prove_refused(server: Server, auth: Mapping[str, Json]) -> None:
    if not _speaks(auth):
        _prove_gone(server, auth)
        return
    with suppress(Denied):
        server.as_token(auth["client_token"]).read("auth/token/lookup-self")
        raise Failed("the token is still accepted after it was revoked")


def _prove_gone(server: Server, auth: Mapping[str, Json]) -> None:
    try:
        server.write("auth/token/lookup-accessor", {"accessor": auth["accessor"]}, again=True)
    except (Denied, Rejected):
        return
    raise Failed("the token still lives after it was revoked")
