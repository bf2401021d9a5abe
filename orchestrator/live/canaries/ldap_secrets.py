"""LDAP: an account of the directory binds with the password that the server holds, and no more when that is over."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.live.canaries.ldap_bind import Directory
from orchestrator.live.canaries.trial import Failed, Trial, cleaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.declared import Declaration
    from orchestrator.documents import Spec
    from orchestrator.live.canaries.trial import Mount
    from orchestrator.live.server import Server

_STATIC = "bind with the account's present password"
_DYNAMIC = "make an account, bind with it, revoke it, be refused"
_LIBRARY = "each account of the set is known"


def trials(mount: Mount) -> Iterator[Trial]:
    directory = _directory(next(iter(mount.itself)).spec.get("config") or {})
    for role in mount.declared("static_roles"):
        yield Trial(role.title, _STATIC, partial(_prove_static, mount.server, role, directory))
    for role in mount.declared("dynamic_roles"):
        yield Trial(role.title, _DYNAMIC, partial(_prove_dynamic, mount.server, role, directory))
    for one in mount.declared("library"):
        yield Trial(one.title, _LIBRARY, partial(_prove_library, mount.server, one))


def _directory(config: Spec) -> Directory:
    """The first of the directory's addresses."""
    return Directory(
        url=str(config.get("url", "ldap://127.0.0.1")).split(",")[0],
        certificate=str(config.get("certificate", "")),
        starttls=bool(config.get("starttls")),
        insecure=bool(config.get("insecure_tls")),
    )


def _prove_static(server: Server, role: Declaration, directory: Directory) -> None:
    account = server.read(f"{role.mount}/static-cred/{role.name}")
    if account is None:
        raise Failed("the role is not there")
    name = str(account.get("dn") or role.spec["username"])
    if not directory.binds(name, str(account["password"])):
        raise Failed(f"the directory refuses the password that the server holds for {name}")


def _prove_dynamic(server: Server, role: Declaration, directory: Directory) -> None:
    answer = server.request("GET", f"{role.mount}/creds/{role.name}")
    names = answer.data["distinguished_names"] or [answer.data["username"]]
    name, password = str(names[0]), str(answer.data["password"])
    with cleaning(partial(_revoke, server, answer.lease), f"the lease of {name}"):
        if not directory.binds(name, password):
            raise Failed(f"the directory refuses the new account {name}; correct creation_ldif")
    if directory.binds(name, password):
        raise Failed(f"{name} still binds after its lease was revoked: delete it by hand, and correct deletion_ldif")


def _revoke(server: Server, lease: str) -> None:
    server.write("sys/leases/revoke", {"lease_id": lease, "sync": True}, again=True)


def _prove_library(server: Server, one: Declaration) -> None:
    known = server.read(f"{one.mount}/library/{one.name}/status") or {}
    if missing := [name for name in one.spec["service_account_names"] if name not in known]:
        raise Failed(f"the set lacks {', '.join(missing)}")
