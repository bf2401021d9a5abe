"""Proof that a role which was shut lets nobody in: a login with a SecretID of our own, as a thief would try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError
from orchestrator.incident.ground import REVOKE
from orchestrator.incident.model import Proof
from orchestrator.live.server import Denied, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents import Json
    from orchestrator.incident.ground import Ground
    from orchestrator.incident.model import Credential
    from orchestrator.live.server import Server

_BRIEF = {"ttl": "60s", "num_uses": 1}
_SHUT = "255.255.255.255"
_CIDR = "unauthorized by CIDR"


def refused(ground: Ground, cut: Sequence[Credential]) -> Iterator[Proof]:
    """One login for each role that is shut; one that is open, as somebody wished, is not tried."""
    for namespace, mount, role in dict.fromkeys(place for one in cut if (place := _place(one))):
        server, path = ground.inside(namespace).server, f"auth/{mount}/role/{role}"
        settings = server.read(path) or {}
        if any(str(one).startswith(_SHUT) for one in settings.get("secret_id_bound_cidrs") or ()):
            yield from _tried(server, mount, path, bound=bool(settings.get("bind_secret_id")))


def _place(one: Credential) -> tuple[str, str, str] | None:
    """The namespace, mount and role that gave it out."""
    if one.what == "token":
        mount = str(one.facts.get("path", "")).removeprefix("auth/").removesuffix("/login")
        role = (one.facts.get("meta") or {}).get("role_name")
        return (one.namespace, mount, str(role)) if mount and role else None
    mount, _, rest = (one.end or one.look.ask).path.removeprefix("auth/").partition("/role/")
    return one.namespace, mount, rest.partition("/")[0]


def _tried(server: Server, mount: str, path: str, *, bound: bool) -> Iterator[Proof]:
    """Nothing, where we may not make a SecretID: whoever is on call need not be able to become every role."""
    title = f"login at auth/{mount} as {path.rpartition('/')[2]}"
    how = "with a new SecretID of our own" if bound else "with its RoleID, as it takes no SecretID"
    try:
        body = _new(server, path, bound=bound)
    except Denied:
        return
    try:
        made = server.as_token("").write(f"auth/{mount}/login", body)
    except (Denied, Rejected) as error:
        why = "its address is in none that may log in" if _CIDR in str(error) else str(error)
        yield Proof("login", title, dead=True, said=f"refused, {how}: {why}")
    else:
        yield _let_in(server, title, how, made)
    finally:
        if bound:
            _ended(server, path, body)


def _let_in(server: Server, title: str, how: str, made: Mapping[str, Json]) -> Proof:
    """A login that gave a token: the server may refuse that at once."""
    try:
        server.as_token(str(made["client_token"])).read("auth/token/lookup-self")
    except Denied:
        return Proof("login", title, dead=True, said=f"tried {how}: the token that it gives is refused everywhere")
    else:
        return Proof("login", title, dead=False, said=f"still logs in {how}, though the role is shut")
    finally:
        server.write(REVOKE, {"accessor": made["accessor"]})


def _new(server: Server, path: str, *, bound: bool) -> dict[str, Json]:
    body = {"role_id": (server.read(f"{path}/role-id") or {}).get("role_id")}
    return {**body, "secret_id": server.write(f"{path}/secret-id", _BRIEF)["secret_id"]} if bound else body


def _ended(server: Server, path: str, body: dict[str, Json]) -> None:
    """It lives for a minute at most; better not at all."""
    try:
        server.write(f"{path}/secret-id/destroy", {"secret_id": body["secret_id"]})
    except StrongroomError:
        return
