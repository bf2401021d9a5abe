"""Where the server is and by which token, as the environment variables say, else the cluster, else the stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StrongroomError, Unreachable
from orchestrator.local import stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.declared import Cluster
    from orchestrator.live.front import Front

_YES = {"1", "t", "true"}
_NO = {"", "0", "f", "false"}


@dataclass(frozen=True)
class Place:
    """Where to connect; the namespace is the one below which the environments' namespaces stand."""

    address: str
    token: str = field(repr=False)
    namespace: str
    ca_cert: str
    skip_verify: bool
    name: str = ""  # what people call it, where the address would tell them nothing
    leader: str = ""
    front: Front | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.name} (leader {self.leader})" if self.name else self.address

    def close(self) -> None:
        """Shut what was opened to connect there."""
        if self.front is not None:
            self.front.close()

    @property
    def verify(self) -> bool | str:
        return False if self.skip_verify else self.ca_cert or True

    @property
    def warnings(self) -> tuple[str, ...]:
        return (f"{self.address}: TLS is not verified, as VAULT_SKIP_VERIFY says",) if self.skip_verify else ()


def find(cluster: Cluster, environ: Mapping[str, str], root: Path) -> Place:
    address, token = variable(environ, "ADDR"), variable(environ, "TOKEN")
    if not address and cluster.embedded:
        running = stack.current(root)
        if running is None:
            raise Unreachable("the embedded stack is not running; start it: invoke up")
        address, token = running.address, token or running.token
    if not address and cluster.run:
        return _of_nodes(cluster, environ, root, token)
    return Place(
        address=_checked(address or cluster.address, cluster),
        token=token,
        namespace=variable(environ, "NAMESPACE").strip("/"),
        ca_cert=_ca_cert(variable(environ, "CACERT"), cluster, root),
        skip_verify=_flag(variable(environ, "SKIP_VERIFY")),
    )


def _of_nodes(declared: Cluster, environ: Mapping[str, str], root: Path, token: str) -> Place:
    """A door to whichever node leads a cluster that we run ourselves."""
    from orchestrator.cluster import nodes  # noqa: PLC0415 - few clusters are ours
    from orchestrator.cluster.machines import choose  # noqa: PLC0415
    from orchestrator.live.front import Front  # noqa: PLC0415

    cluster = choose.awake(root, declared, environ)
    leader = nodes.wait_for_leader(cluster)
    namespace = variable(environ, "NAMESPACE").strip("/")
    front = Front(cluster, leader.node)
    return Place(
        address=front.address,
        token=token,
        namespace=namespace,
        ca_cert=cluster.ca_cert,
        skip_verify=False,
        name=f"cluster {cluster.name}",
        leader=f"{leader.node.name} {leader.url}",
        front=front,
    )


def variable(environ: Mapping[str, str], name: str) -> str:
    """VAULT_<name> or BAO_<name>, which may not contradict each other."""
    vault, bao = environ.get(f"VAULT_{name}", ""), environ.get(f"BAO_{name}", "")
    if vault and bao and vault != bao:
        raise StrongroomError(f"VAULT_{name} and BAO_{name} are both set and differ; unset one of them")
    return vault or bao


def _checked(address: str, cluster: Cluster) -> str:
    if not address:
        raise Unreachable(f"cluster {cluster.name} has no address; set VAULT_ADDR or give it one")
    if not address.startswith(("http://", "https://")):
        raise StrongroomError(f"{address} is no address of a server; write it like https://vault.example.org:8200")
    if "@" in address:
        raise StrongroomError("the server's address holds a user or a password; take it out, and give a token")
    return address.rstrip("/").removesuffix("/v1")


def _ca_cert(given: str, cluster: Cluster, root: Path) -> str:
    """The CA's file: the environment's as it stands, the cluster's from the project's root."""
    path = Path(given) if given else root / cluster.ca_cert
    if not given and not cluster.ca_cert:
        return ""
    if not path.is_file():
        raise StrongroomError(f"the CA's file {path} is not there; correct VAULT_CACERT, or `ca_cert:` of the cluster")
    return str(path.absolute())


def _flag(said: str) -> bool:
    if said.lower() not in _YES | _NO:
        raise StrongroomError("VAULT_SKIP_VERIFY is neither true nor false; correct it")
    return said.lower() in _YES
