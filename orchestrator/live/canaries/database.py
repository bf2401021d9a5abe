"""Database: an account that the server makes logs in for real, and no more once its lease is revoked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries import lease, postgresql, redis
from orchestrator.live.canaries.trial import Failed, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.declared import Declaration
    from orchestrator.documents import Json, Spec
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_DYNAMIC = "make an account, connect with it, revoke it, be refused"
_KEY = "make an account, revoke it (it has no password to connect with)"
_STATIC = "connect with the account's present password"
_UNTRIED = "read the account's present password (no login: that takes a client of its own)"


@dataclass(frozen=True)
class _Client:
    """How to log in to one connection's database, and by which word that refuses an account."""

    spec: Spec
    connect: Callable[[Spec, Mapping[str, Json]], None]
    refused: str


_CLIENTS = {
    "postgresql": (postgresql.connect, postgresql.REFUSED),
    "redis": (redis.connect, redis.REFUSED),
}


def trials(mount: Mount) -> Iterator[Trial]:
    clients = {one.name: _Client(one.spec, *how) for key, how in _CLIENTS.items() for one in mount.declared(key)}
    for role in mount.declared("roles"):
        client = clients.get(role.spec["db_name"])
        path = f"{role.mount}/creds/{role.name}"
        if not _has_password(role):
            yield Trial(role.title, _KEY, partial(_prove_key, mount.server, path))
        elif client:
            yield Trial(role.title, _DYNAMIC, partial(_prove_dynamic, mount.server, path, client))
        else:
            yield Trial(role.title, lease.WHAT, partial(lease.prove, mount.server, path))
    for role in mount.declared("static_roles"):
        client = clients.get(role.spec["db_name"])
        if _has_password(role):
            yield Trial(role.title, _STATIC if client else _UNTRIED, partial(_prove_static, mount.server, role, client))


def _has_password(role: Declaration) -> bool:
    return str(role.spec.get("credential_type", "password")) == "password"


def _prove_dynamic(server: Server, path: str, client: _Client) -> None:
    with lease.leased(server, path) as account:
        client.connect(client.spec, account.data)
    _prove_refused(client, account.data)


def _prove_key(server: Server, path: str) -> None:
    with lease.leased(server, path):
        pass


def _prove_refused(client: _Client, account: Mapping[str, Json]) -> None:
    try:
        client.connect(client.spec, account)
    except Failed as error:
        if client.refused in str(error):
            return
        raise
    raise Failed(
        f"account {account['username']} still connects after its lease was revoked: drop it by hand, and correct "
        "revocation_statements"
    )


def _prove_static(server: Server, role: Declaration, client: _Client | None) -> None:
    account = server.read(f"{role.mount}/static-creds/{role.name}")
    if account is None:
        raise Failed("the role is not there")
    if not account.get("password"):
        raise Failed("the server knows no password of the account")
    if client:
        client.connect(client.spec, account)
