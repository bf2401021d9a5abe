"""Database: an account that the server makes logs in for real, and no more once its lease is revoked."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from orchestrator.live.canaries.trial import Failed, Trial, cleaning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.declared import Declaration
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server
    from orchestrator.model import Json, Spec

_PATIENCE = 5
_DYNAMIC = "make an account, connect with it, revoke it, be refused"
_KEY = "make an account, revoke it (it has no password to connect with)"
_STATIC = "connect with the account's present password"


def trials(mount: Mount) -> Iterator[Trial]:
    connections = {one.name: one.spec for one in mount.declared("postgresql")}
    for role in mount.declared("roles"):
        what = _DYNAMIC if _has_password(role) else _KEY
        yield Trial(role.title, what, partial(_prove_dynamic, mount.server, role, connections))
    for role in mount.declared("static_roles"):
        if _has_password(role):
            yield Trial(role.title, _STATIC, partial(_prove_static, mount.server, role, connections))


def _has_password(role: Declaration) -> bool:
    return str(role.spec.get("credential_type", "password")) == "password"


def _prove_dynamic(server: Server, role: Declaration, connections: Mapping[str, Spec]) -> None:
    answer = server.request("GET", f"{role.mount}/creds/{role.name}")
    spec, account = connections[role.spec["db_name"]], str(answer.data["username"])
    with cleaning(partial(_revoke, server, answer.lease), f"the lease of account {account}"):
        if _has_password(role):
            _connect(spec, answer.data)
    if _has_password(role):
        _prove_refused(spec, answer.data)


def _revoke(server: Server, lease: str) -> None:
    server.write("sys/leases/revoke", {"lease_id": lease, "sync": True})


def _prove_refused(spec: Spec, account: Mapping[str, Json]) -> None:
    try:
        _connect(spec, account)
    except Failed as error:
        if "FATAL" in str(error):
            return
        raise
    raise Failed(
        f"account {account['username']} still connects after its lease was revoked: drop it by hand, and correct "
        "revocation_statements"
    )


def _prove_static(server: Server, role: Declaration, connections: Mapping[str, Spec]) -> None:
    account = server.read(f"{role.mount}/static-creds/{role.name}")
    if account is None:
        raise Failed("the role is not there")
    _connect(connections[role.spec["db_name"]], account)


def _connect(spec: Spec, account: Mapping[str, Json]) -> None:
    """Log in at the declared address with this account; the error says why not, without the password."""
    password = str(account["password"])
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with psycopg.connect(**_parameters(spec, scratch, str(account["username"]), password)) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            failure = " ".join(str(error).replace(password, "…").split())
        else:
            return
    raise Failed(f"account {account['username']} cannot connect: {failure}")


def _parameters(spec: Spec, scratch: str, user: str, password: str) -> dict[str, Json]:
    """The declared address as psycopg takes it; the account goes beside it, so nothing needs escaping."""
    url = str(spec["connection_url"]).replace("{{username}}", "user").replace("{{password}}", "password")
    found: dict[str, Json] = {**conninfo_to_dict(url), "user": user, "password": password}
    found["connect_timeout"] = _PATIENCE
    if authority := spec.get("tls_ca"):
        found["sslrootcert"] = str(Path(scratch, "ca.pem"))
        Path(found["sslrootcert"]).write_text(authority)
    return found
