"""A session: where the server is, who we are on it, and that both are as declared."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.live import place
from orchestrator.live.secrets import resolve
from orchestrator.live.server import Denied, Rejected
from orchestrator.live.wire import open_server
from orchestrator.outcome import CLUSTER
from orchestrator.shapes import REFERENCE_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.declared import Cluster
    from orchestrator.documents import Json
    from orchestrator.live.place import Place
    from orchestrator.live.server import Server

_LOGIN_PATHS = {"userpass": "auth/{mount}/login/{username}"}
_SHORT = 300
_RETRIES = "10"  # of the official provider, a second or more each: its two would not outlast an election
_BUILT_IN = "sys/internal/ui/mounts/cubbyhole"


@dataclass(frozen=True)
class Session:
    """A server that answers to us; `owned` is a token of ours, which ends with the session."""

    server: Server
    place: Place
    token: str = field(repr=False)
    product: str
    version: str
    who: str
    ttl: int
    warnings: tuple[str, ...]
    cluster_id: str = ""
    owned: Server | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return self.place.address

    @property
    def namespace(self) -> str:
        return self.server.namespace

    def __str__(self) -> str:
        inside = f", namespace {self.namespace}" if self.namespace else ""
        return f"{self.product} {self.version} at {self.place}{inside}"

    def environ(self) -> dict[str, str]:
        """The variables by which Terraform opens the same session."""
        found = {
            "VAULT_ADDR": self.address,
            CLUSTER: self.place.name,
            "VAULT_MAX_RETRIES": _RETRIES if self.place.name else "",
            "VAULT_TOKEN": self.token,
            "VAULT_NAMESPACE": self.namespace,
            "VAULT_CACERT": self.place.ca_cert,
            "VAULT_SKIP_VERIFY": "true" if self.place.skip_verify else "",
        }
        return {name: value for name, value in found.items() if value}

    def close(self) -> None:
        """Revoke the token that our own login gave."""
        if self.owned is not None:
            _revoke(self.owned)
        self.place.close()


def connect(cluster: Cluster, namespace: str, environ: Mapping[str, str], root: Path, *, waits: bool = True) -> Session:
    """A session as the environment variables say, else as the cluster does; nothing is changed on the server.

    `waits` says to wait for a server that goes away for a while.
    """
    there = place.find(cluster, environ, root)
    try:
        base = open_server(there.address, there.namespace, "", verify=there.verify, name=there.name, waits=waits)
        return _opened(base, there, cluster, namespace, environ, root)
    except BaseException:
        there.close()
        raise


def _opened(
    base: Server, there: Place, cluster: Cluster, namespace: str, environ: Mapping[str, str], root: Path
) -> Session:
    status = _status(base)
    token, owned = (there.token, None) if there.token else _login(base, cluster, environ, root)
    try:
        server = base.as_token(token).in_namespace(_joined(there.namespace, namespace))
        who = _who(server, base.as_token(token))
        product, version = _product(server, status), str(status["version"]).partition("+")[0]
        warnings = (*there.warnings, *_differences(cluster, base.name, product, version))
        cluster_id = str(status.get("cluster_id") or "")
        name, ttl = _name(who), int(who["ttl"])
        warnings = (*warnings, *_short_lived(who))
        return Session(server, there, token, product, version, name, ttl, warnings, cluster_id, owned)
    except BaseException:
        if owned is not None:
            _revoke(owned)
        raise


def _revoke(owned: Server) -> None:
    """Give a login back; where its policies, the network or an election forbid that, it ends with its ttl."""
    with contextlib.suppress(Denied, Rejected, Unreachable):
        owned.hurried().write("auth/token/revoke-self", {}, again=True)


def _joined(prefix: str, namespace: str) -> str:
    return "/".join(part for part in (prefix.strip("/"), namespace.strip("/")) if part)


def _status(base: Server) -> Mapping[str, Json]:
    status = base.in_namespace("").read("sys/seal-status") or {}
    if "sealed" not in status or "version" not in status:
        raise Unreachable(f"{base.name} answers, but not as Vault or OpenBao; check the address")
    if not status.get("initialized"):
        raise Unreachable(f"{base.name} is not initialised; initialise it first")
    if status["sealed"]:
        raise Unreachable(f"{base.name} is sealed; unseal it and run this again")
    return status


def _login(base: Server, cluster: Cluster, environ: Mapping[str, str], root: Path) -> tuple[str, Server | None]:
    """The token that the cluster's login gives, and who may revoke it: we, unless it was there before."""
    login = cluster.login
    if login is None:
        raise Unreachable(f"no token for {base.name}: set VAULT_TOKEN or give the cluster {cluster.name} a login")
    settings = {name: _setting(value, environ, root) for name, value in login.settings.items()}
    if login.method == "token":
        return settings["token"], None
    path = _LOGIN_PATHS.get(login.method, "auth/{mount}/login").format(mount=login.mount or login.method, **settings)
    try:
        token = base.write(path, settings, again=True).get("client_token")
    except (Rejected, Denied) as error:
        words = error.words if isinstance(error, Rejected) else "permission denied"
        refused = Unreachable(
            f"{base.name}: the login at {path} is refused: {words}; check the login of cluster {cluster.name}"
        )
    else:
        if token:
            return str(token), base.as_token(str(token))
        refused = Unreachable(f"{base.name}: the login at {path} gives no token; a second factor cannot be given")
    raise refused


def _setting(value: str, environ: Mapping[str, str], root: Path) -> str:
    return resolve(value, environ, root) if re.match(REFERENCE_PATTERN, value) else value


def _who(server: Server, base: Server) -> Mapping[str, Json]:
    """What the token is; Vault Enterprise may not let one of a parent namespace look itself up further down."""
    for place_of_token in (server, base):
        try:
            return place_of_token.read("auth/token/lookup-self") or {}
        except Denied:
            continue
    raise Unreachable(
        f"{server.name}: the token is refused: it expired, was revoked, belongs to another server, or may not read "
        "auth/token/lookup-self; get a new one, or unset VAULT_TOKEN where the cluster has a login"
    )


def _short_lived(who: Mapping[str, Json]) -> Iterator[str]:
    """What may end before the work does: Terraform asks a hundred times where a person asks once."""
    if 0 < int(who["ttl"]) < _SHORT:
        yield f"the token ends in {who['ttl']} s; an apply may need longer, and the next one would finish it"
    if who.get("num_uses"):
        yield f"the token may be used {who['num_uses']} times more; a plan or an apply needs many more than that"


def _name(who: Mapping[str, Json]) -> str:
    policies = [*(who.get("policies") or ()), *(who.get("identity_policies") or ())]
    return f"{who.get('display_name') or 'token'} ({', '.join(policies)})"


def _product(server: Server, status: Mapping[str, Json]) -> str:
    """OpenBao's seal status has a `commit_date` since 2.6; before, only the built-in engines' version tells."""
    if "commit_date" in status:
        return "OpenBao"
    try:
        engine = server.read(_BUILT_IN) or {}
    except Denied:
        engine = {}
    return "OpenBao" if str(engine.get("running_plugin_version")).endswith("bao") else "Vault"


def _differences(cluster: Cluster, name: str, product: str, version: str) -> tuple[str, ...]:
    if not cluster.server:  # nobody declared what to expect
        return ()
    if product.lower() != cluster.server:
        raise StrongroomError(
            f"{name} is {product} {version}, but cluster {cluster.name} declares {cluster.server}; "
            "correct `server:` or the address"
        )
    if version.split(".")[:2] != cluster.version.split(".")[:2]:
        return (f"{name} runs {version}, but cluster {cluster.name} declares {cluster.version}; correct `version:`",)
    return ()
